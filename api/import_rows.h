// An import as it comes in: JSON lines, a device each, in pieces of any size. What does not end with its line end is no row,
// unless the body ends there; so a client that goes away in the middle leaves whole rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "api/admin_json.h"
#include "api/message.h"
#include "engine/registrar.h"

namespace watchword::api {

class ImportRows {
 public:
  // The registrar outlives it. `secret_bytes_min` as in Registrar::import().
  ImportRows(engine::Registrar& registrar, engine::Origin origin, std::size_t secret_bytes_min);

  // On a worker thread, one call at a time. An answer: it is over before the body's end, because too many rows were refused
  // or because the store takes no writes.
  std::optional<Response> take(std::string_view bytes);
  // The body is whole.
  Response finish();
  // The server stops. What was taken is in.
  Response interrupted() const;

 private:
  struct Refused {
    std::uint64_t line;
    std::string user;
    std::string field;
    std::string reason;
  };
  // A line that is longer is refused, and not kept.
  static constexpr std::size_t line_bytes_max = 8192;
  // Refusals that an answer lists; after these many the import stops, so that none is left unnamed.
  static constexpr std::size_t refusals_max = 10000;

  void take_line(std::string_view line);
  tl::expected<engine::BulkRow, RequestFault> parse(std::string_view line, std::uint64_t& number, std::string& user) const;
  void refuse(std::uint64_t line, std::string user, const RequestFault& fault);
  bool write_out();
  std::optional<Response> over();
  Response report(bool complete) const;
  Response store_refused() const;

  engine::Registrar& registrar_;
  const engine::Origin origin_;
  const std::size_t secret_bytes_min_;
  std::string begun_;  // of a line, without its end
  bool cut_ = false;   // the line being received is too long; the rest of it is dropped
  std::uint64_t line_ = 0;
  std::vector<engine::BulkRow> batch_;
  std::vector<std::uint64_t> batch_lines_;
  std::vector<std::string> batch_users_;
  std::uint64_t rows_ = 0;
  std::uint64_t imported_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t new_users_ = 0;
  std::uint64_t refused_ = 0;
  std::vector<Refused> refusals_;
};

}  // namespace watchword::api
