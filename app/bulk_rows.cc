#include "app/bulk_rows.h"

#include <charconv>

#include "app/csv.h"
#include "engine/base32.h"

namespace watchword::app {
namespace {

tl::unexpected<std::string> no_row(std::string reason) {
  return tl::unexpected(std::move(reason));
}

// Decimal digits only; nullopt otherwise.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

tl::expected<engine::OtpParameters, std::string> parse_parameters(const std::vector<std::string>& fields) {
  engine::OtpParameters parameters;
  if (!fields[3].empty()) {
    const auto algorithm = engine::parse_algorithm(fields[3]);
    if (!algorithm) return no_row("the algorithm must be SHA1, SHA256 or SHA512");
    parameters.algorithm = *algorithm;
  }
  if (!fields[4].empty()) {
    const auto digits = parse_number<std::uint8_t>(fields[4]);
    if (!digits || *digits < engine::digits_min || *digits > engine::digits_max) {
      return no_row("digits must be 6, 7 or 8");
    }
    parameters.digits = *digits;
  }
  if (!fields[5].empty()) {
    const auto period = parse_number<std::uint16_t>(fields[5]);
    if (!period || *period < engine::period_s_min || *period > engine::period_s_max) {
      return no_row("the period must be 15 to 300 seconds");
    }
    parameters.period_s = *period;
  }
  return parameters;
}

}  // namespace

tl::expected<engine::BulkRow, std::string> parse_row(std::string_view line) {
  const auto fields = split_csv(line);
  if (!fields) return no_row("its quotes do not match");
  if (fields->size() != 6) {
    return no_row("it has " + std::to_string(fields->size()) + " columns instead of 6 (" + std::string(csv_header) + ")");
  }
  auto user = engine::UserName::parse((*fields)[0]);
  if (!user) return no_row("the user must be 1 to 256 bytes of UTF-8 without control characters");
  if (!engine::valid_device_name((*fields)[1])) {
    return no_row("the name must be 1 to 64 characters of UTF-8 without control characters");
  }
  if ((*fields)[2].empty()) return no_row("it has no secret");
  auto secret = engine::base32_decode((*fields)[2]);
  if (!secret) return no_row("the secret is not base32");
  auto parameters = parse_parameters(*fields);
  if (!parameters) return no_row(parameters.error());
  return engine::BulkRow{.user = std::move(*user),
                         .name = (*fields)[1],
                         .secret = engine::SecretBytes(std::move(*secret)),
                         .parameters = *parameters};
}

std::string explain(engine::Refusal refusal, const engine::BulkRegistration::Options& options) {
  using engine::Refusal;
  switch (refusal) {
    case Refusal::name_taken:
      return "the user has a device of this name already";
    case Refusal::secret_registered:
      return "the user has a device with this very secret already";
    case Refusal::device_limit:
      return "the user has " + std::to_string(options.devices_max) + " devices already, as many as the policy allows";
    case Refusal::secret_too_short:
      return "the secret has fewer than " + std::to_string(options.secret_bytes_min) + " bytes" +
             (options.secret_bytes_min > engine::short_secret_bytes_min
                  ? "; --allow-short-secrets takes them from " + std::to_string(engine::short_secret_bytes_min) + " bytes on"
                  : "");
    case Refusal::secret_too_long:
      return "the secret has more than " + std::to_string(engine::secret_bytes_max) + " bytes";
    default:
      return std::string(to_string(refusal));
  }
}

std::string write_row(const std::string& user, const engine::DeviceRecord& device, bool with_secret) {
  return csv_field(user) + ',' + csv_field(device.name) + ',' +
         (with_secret ? engine::base32_encode(device.secret.bytes()) : "") + ',' +
         std::string(to_string(device.parameters.algorithm)) + ',' + std::to_string(device.parameters.digits) + ',' +
         std::to_string(device.parameters.period_s);
}

}  // namespace watchword::app
