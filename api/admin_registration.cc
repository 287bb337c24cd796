// Registration over the API. Whether people may register themselves is the portal's question: policy's self_registration
// does not bind a caller who holds a key for enrolment.
#include <boost/json.hpp>

#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/base64.h"
#include "api/problem.h"
#include "api/qr.h"
#include "engine/base32.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

std::optional<engine::Algorithm> algorithm_field(JsonFields& fields) {
  const std::optional<std::string> text = fields.optional_text("algorithm");
  if (!text) return std::nullopt;
  const std::optional<engine::Algorithm> algorithm = engine::parse_algorithm(*text);
  if (!algorithm) fields.refuse("algorithm", "The algorithm must be SHA1, SHA256 or SHA512.");
  return algorithm;
}

// A number within the field's range, or nothing; out of range is a fault.
template <class T>
std::optional<T> number_field(JsonFields& fields, std::string_view name, T min, T max, std::string_view rule) {
  const std::optional<std::int64_t> number = fields.optional_integer(name);
  if (!number) return std::nullopt;
  if (*number < min || *number > max) {
    fields.refuse(name, std::string(rule));
    return std::nullopt;
  }
  return static_cast<T>(*number);
}

std::optional<engine::SecretBytes> secret_field(JsonFields& fields) {
  const std::optional<std::string> text = fields.optional_text("secret");
  if (!text) return std::nullopt;
  std::optional<std::vector<std::uint8_t>> bytes = engine::base32_decode(*text);
  if (!bytes) {
    fields.refuse("secret", "The secret must be base32 (letters A to Z and digits 2 to 7).");
    return std::nullopt;
  }
  return engine::SecretBytes(std::move(*bytes));
}

// null where no QR code can hold the URI (a very long name with a very long secret): the secret can still be typed.
json::value pictures(const std::string& uri) {
  const std::optional<QrCode> code = QrCode::encode(uri);
  if (!code) return nullptr;
  return json::object{{"svg", qr_svg(*code)}, {"png", base64_encode(qr_png(*code))}};
}

template <class Draw>
Response picture(const AdminCall& call, std::string_view content_type, Draw draw) {
  const engine::Answer<std::string> uri = call.engine.registrar.pending_uri(*call.user, call.device, call.now);
  if (!uri) return refused(uri.error());
  const std::optional<QrCode> code = QrCode::encode(*uri);
  if (!code)
    return problem(422, "qr_too_large", "No QR code can hold this registration. Type the secret into the app instead.");
  Response response;
  response.content_type = content_type;
  response.body = draw(*code);
  response.no_store = true;
  return response;
}

}  // namespace

engine::NewDevice new_device(JsonFields& fields) {
  engine::NewDevice device;
  device.name = fields.text("name");
  if (!engine::valid_device_name(device.name)) fields.refuse("name", device_name_rule);
  device.algorithm = algorithm_field(fields);
  device.digits = number_field(fields, "digits", engine::digits_min, engine::digits_max, "Codes have 6 to 8 digits.");
  device.period_s =
      number_field(fields, "period", engine::period_s_min, engine::period_s_max, "The period is 15 to 300 seconds.");
  device.secret = secret_field(fields);
  return device;
}

Response begin_registration(const AdminCall& call) {
  JsonFields fields(call.request.body);
  const engine::NewDevice wanted = new_device(fields);
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  const engine::Answer<engine::BegunRegistration> begun =
      call.engine.registrar.begin(*call.user, wanted, call.request.origin, call.now);
  if (!begun) return refused(begun.error());

  const engine::DeviceView& device = begun->device;
  Response response = json_answer(201, {{"id", device.id.text()},
                                        {"name", device.name},
                                        {"status", "pending"},
                                        {"algorithm", to_string(device.parameters.algorithm)},
                                        {"digits", device.parameters.digits},
                                        {"period", device.parameters.period_s},
                                        {"secret", engine::base32_encode(begun->secret.bytes())},
                                        {"otpauth_uri", begun->otpauth_uri},
                                        {"qr", pictures(begun->otpauth_uri)},
                                        {"expires_at", utc_text(device.expires_at_s)}});
  response.headers.emplace_back("Location",
                                "/v1/users/" + percent_encode(call.user->text()) + "/devices/" + device.id.text());
  return response;
}

Response show_qr_svg(const AdminCall& call) {
  return picture(call, "image/svg+xml", qr_svg);
}

Response show_qr_png(const AdminCall& call) {
  return picture(call, "image/png", qr_png);
}

Response confirm_registration(const AdminCall& call) {
  JsonFields fields(call.request.body);
  const std::optional<engine::Code> code = code_field(fields, "code");
  if (const std::optional<RequestFault> fault = fields.finish()) return problem(*fault);
  const engine::Answer<engine::Confirmation> confirmation =
      call.engine.registrar.confirm(*call.user, call.device, *code, call.request.origin, call.now);
  if (!confirmation) return refused(confirmation.error());
  if (confirmation->accepted) {
    json::object body{{"result", "accepted"}};
    for (auto& field : device_object(confirmation->device)) body.insert(field);
    return json_answer(200, body);
  }
  json::object body{{"result", "rejected"}};
  if (confirmation->clock_offset_s) body["clock_offset_s"] = *confirmation->clock_offset_s;
  return json_answer(200, body);
}

}  // namespace watchword::api
