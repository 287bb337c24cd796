// The rows of import and export: one device each.
#pragma once

#include <cstdint>
#include <fstream>
#include <istream>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "engine/bulk_registration.h"
#include "engine/store.h"

namespace watchword::app {

inline constexpr std::string_view csv_header = "user,name,secret,algorithm,digits,period";

// What an import reads: a file, or standard input ("-"). Throws std::runtime_error.
class ImportFile {
 public:
  explicit ImportFile(const std::string& path);
  std::istream& stream() const;
  std::uint64_t bytes() const { return bytes_; }  // 0: unknown

 private:
  const bool standard_input_;
  mutable std::ifstream file_;
  std::uint64_t bytes_ = 0;
};

// A row, or why it is none, in words that hold nothing of the secret.
tl::expected<engine::BulkRow, std::string> parse_row(std::string_view line);
std::string explain(engine::Refusal refusal, const engine::BulkRegistration::Options& options);

// Without line end. The secret's field is empty unless asked for.
std::string write_row(const std::string& user, const engine::DeviceRecord& device, bool with_secret);

}  // namespace watchword::app
