// The rows of an export, a device each, as JSON lines: without secrets, which leave the server in no answer but the one that
// made them.
#pragma once

#include <string>

#include "api/body_source.h"
#include "engine/store.h"

namespace watchword::api {

// Every user is as they were when their row was written; who comes or goes meanwhile may be in it or not. The store outlives
// it.
class ExportRows final : public BodySource {
 public:
  explicit ExportRows(engine::Store& store) : store_(store) {}
  bool next(std::string& out) override;

 private:
  engine::Store& store_;
  std::string after_;  // the last user that was written
};

}  // namespace watchword::api
