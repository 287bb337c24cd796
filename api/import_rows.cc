#include "api/import_rows.h"

#include <algorithm>

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

RequestFault fault_of(engine::Refusal refusal, std::size_t secret_bytes_min) {
  if (refusal == engine::Refusal::secret_too_short) {
    return {.field = "secret", .detail = fmt::format("The secret has fewer than {} bytes.", secret_bytes_min)};
  }
  return {.field = std::string(refused_field(refusal)), .detail = std::string(refused_detail(refusal))};
}

}  // namespace

ImportRows::ImportRows(engine::Registrar& registrar, engine::Origin origin, std::size_t secret_bytes_min)
    : registrar_(registrar), origin_(std::move(origin)), secret_bytes_min_(secret_bytes_min) {}

std::optional<Response> ImportRows::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (begun_.size() + part.size() > line_bytes_max) cut_ = true;
    if (!cut_ && (end == std::string_view::npos || !begun_.empty())) begun_ += part;
    if (end == std::string_view::npos) break;
    take_line(begun_.empty() ? part : std::string_view(begun_));
    bytes.remove_prefix(end + 1);
    if (std::optional<Response> answer = over()) return answer;
  }
  // What came in one breath is written in one, so that a slow client's rows are not kept waiting.
  if (!write_out()) return store_refused();
  return over();
}

Response ImportRows::finish() {
  if (!begun_.empty() || cut_) take_line(begun_);
  if (!write_out()) return store_refused();
  return report(true);
}

void ImportRows::take_line(std::string_view line) {
  ++line_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (cut_) {
    ++rows_;
    refuse(line_, {}, {.field = {}, .detail = fmt::format("The line is longer than {} bytes.", line_bytes_max)});
  } else if (line.find_first_not_of(" \t") != std::string_view::npos) {
    ++rows_;
    std::uint64_t number = line_;
    std::string user;
    tl::expected<engine::BulkRow, RequestFault> row = parse(line, number, user);
    if (row) {
      batch_.push_back(std::move(*row));
      batch_lines_.push_back(number);
      batch_users_.push_back(std::move(user));
    } else {
      refuse(number, std::move(user), row.error());
    }
  }
  OPENSSL_cleanse(begun_.data(), begun_.size());
  begun_.clear();
  cut_ = false;
}

tl::expected<engine::BulkRow, RequestFault> ImportRows::parse(std::string_view line, std::uint64_t& number,
                                                              std::string& user) const {
  JsonFields fields(line);
  const std::optional<engine::UserName> name = engine::UserName::parse(fields.text("user"));
  if (!name) fields.refuse("user", "A user is 1 to 256 bytes of UTF-8 without control characters.");
  if (const std::optional<std::int64_t> told = fields.optional_integer("line")) {
    if (*told < 1) fields.refuse("line", "A line is a number from 1 on.");
    number = static_cast<std::uint64_t>(std::max<std::int64_t>(1, *told));
  }
  engine::NewDevice device = new_device(fields);
  if (!fields.has("secret")) fields.refuse("secret", "The field \"secret\" is missing.");
  if (name) user = name->text();
  if (std::optional<RequestFault> fault = fields.finish()) return tl::unexpected(std::move(*fault));
  const engine::OtpParameters usual;
  return engine::BulkRow{.user = *name,
                         .name = std::move(device.name),
                         .secret = std::move(*device.secret),
                         .parameters = {.algorithm = device.algorithm.value_or(usual.algorithm),
                                        .digits = device.digits.value_or(usual.digits),
                                        .period_s = device.period_s.value_or(usual.period_s)}};
}

void ImportRows::refuse(std::uint64_t line, std::string user, const RequestFault& fault) {
  ++refused_;
  if (refusals_.size() >= refusals_max) return;
  refusals_.push_back({.line = line, .user = std::move(user), .field = fault.field, .reason = fault.detail});
}

// False: the store takes no writes, and nothing of the batch is in.
bool ImportRows::write_out() {
  if (batch_.empty()) return true;
  const auto answer = registrar_.import(std::move(batch_), secret_bytes_min_, origin_, engine::wall_now());
  batch_.clear();
  bool written = true;
  for (std::size_t i = 0; i < answer.rows.size(); ++i) {
    const engine::Answer<engine::Imported>& row = answer.rows[i];
    if (row) {
      ++(*row == engine::Imported::added ? imported_ : unchanged_);
    } else if (row.error() == engine::Refusal::store_unavailable) {
      written = false;
    } else {
      refuse(batch_lines_[i], std::move(batch_users_[i]), fault_of(row.error(), secret_bytes_min_));
    }
  }
  new_users_ += answer.new_users;
  batch_lines_.clear();
  batch_users_.clear();
  return written;
}

std::optional<Response> ImportRows::over() {
  if (batch_.size() >= engine::import_rows_max && !write_out()) return store_refused();
  if (refused_ < refusals_max) return std::nullopt;
  if (!write_out()) return store_refused();
  return report(false);
}

Response ImportRows::report(bool complete) const {
  json::array refused;
  for (const Refused& one : refusals_) {
    json::object row{{"line", one.line}};
    if (!one.user.empty()) row["user"] = one.user;
    if (!one.field.empty()) row["field"] = one.field;
    row["reason"] = one.reason;
    refused.push_back(std::move(row));
  }
  json::object body{{"complete", complete},         {"rows", rows_},           {"imported", imported_},
                    {"unchanged", unchanged_},      {"new_users", new_users_}, {"refused_rows", refused_},
                    {"refused", std::move(refused)}};
  if (!complete) {
    body["detail"] = fmt::format(
        "{} rows were refused, so the import stopped after row {}. What is not listed up to there is in. Mend the rows and "
        "send "
        "all of them again: those that are in are left as they are.",
        refused_, rows_);
  }
  return json_answer(200, body);
}

Response ImportRows::store_refused() const {
  return problem(
      503, "store_unavailable",
      fmt::format("The store cannot write at the moment. {} rows are in. Send all of them again later: those that are in "
                  "are left as they are.",
                  imported_ + unchanged_));
}

Response ImportRows::interrupted() const {
  return problem(
      503, "not_ready",
      fmt::format("The server is stopping. {} rows are in. Send all of them again later: those that are in are left as "
                  "they are.",
                  imported_ + unchanged_));
}

}  // namespace watchword::api
