#include "admin_plane_fixture.h"
#include "engine/otpauth_uri.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

class Registration : public AdminPlaneTest {
 protected:
  json::object begun(std::string_view body = R"({"name":"phone"})") {
    return object(201, Method::post, devices, std::string(body));
  }
  std::string path_of(const json::object& device) { return devices + "/" + text(device, "id"); }
  std::string devices = "/v1/users/alice/devices";
};

TEST_F(Registration, ShowsTheSecretOnceAsTextUriAndPicture) {
  const Response response = ask(Method::post, "/v1/users/a%2Fb%20zo%C3%AB/devices", R"({"name":"My phone"})");
  const json::object device = json::parse(response.body).as_object();
  EXPECT_EQ(response.status, 201u);
  EXPECT_TRUE(response.no_store);
  EXPECT_EQ(header(response, "Location"), "/v1/users/a%2Fb%20zo%C3%AB/devices/" + text(device, "id"));
  EXPECT_EQ(text(device, "name"), "My phone");
  EXPECT_EQ(text(device, "status"), "pending");
  EXPECT_EQ(text(device, "expires_at"), "2026-11-24T14:10:00Z");
  EXPECT_EQ(text(device, "secret").size(), 32u);
  const engine::OtpauthKey key = *engine::parse_otpauth_uri(text(device, "otpauth_uri"));
  EXPECT_EQ(key.account, "a/b zoë");
  EXPECT_EQ(engine::base32_encode(key.secret.bytes()), text(device, "secret"));
  const json::object qr = device.at("qr").as_object();
  EXPECT_EQ(text(qr, "svg").substr(0, 4), "<svg");
  EXPECT_EQ(text(qr, "png").substr(0, 8), "iVBORw0K");
  const Response later = ask(Method::get, header(response, "Location"));
  EXPECT_EQ(later.status, 200u);
  EXPECT_EQ(later.body.find(text(device, "secret")), std::string::npos);
}

TEST_F(Registration, TakesParametersAndASecretOfTheCallers) {
  const json::object device = begun(
      R"({"name":"token","algorithm":"SHA256","digits":8,"period":60,"secret":"jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp"})");
  EXPECT_EQ(text(device, "algorithm"), "SHA256");
  EXPECT_EQ(device.at("digits").as_int64(), 8);
  EXPECT_EQ(device.at("period").as_int64(), 60);
  EXPECT_EQ(text(device, "secret"), "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP");
  EXPECT_EQ(refusal(Method::post, devices, R"({"name":"2","secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"})"),
            "422 secret_registered secret");
}

TEST_F(Registration, NamesTheFieldAtFault) {
  const auto refused = [&](std::string body) { return refusal(Method::post, devices, std::move(body)); };
  EXPECT_EQ(refused("{}"), "400 bad_request name");
  EXPECT_EQ(refused(R"({"name":""})"), "400 bad_request name");
  EXPECT_EQ(refused(R"({"name":"a\u0007"})"), "400 bad_request name");
  EXPECT_EQ(refused(R"({"name":"n","algorithm":"sha1"})"), "400 bad_request algorithm");
  EXPECT_EQ(refused(R"({"name":"n","digits":9})"), "400 bad_request digits");
  EXPECT_EQ(refused(R"({"name":"n","digits":262})"), "400 bad_request digits");
  EXPECT_EQ(refused(R"({"name":"n","period":14})"), "400 bad_request period");
  EXPECT_EQ(refused(R"({"name":"n","secret":"0189"})"), "400 bad_request secret");
  EXPECT_EQ(refused(R"({"name":"n","secret":"JBSWY3DPEHPK3PXP"})"), "422 secret_too_short secret");
  EXPECT_EQ(refused(R"({"name":"n","secret":""})"), "422 secret_too_short secret");
  EXPECT_EQ(refused(R"({"name":"n","user":"bob"})"), "400 bad_request user");
  EXPECT_EQ(refused(R"({"name":"n"})"), "201");
  EXPECT_EQ(refused(R"({"name":"n"})"), "409 name_taken name");
}

TEST_F(Registration, ByAnEnrolmentKeyIsNotBoundBySelfRegistration) {
  engine::Policy policy;
  policy.self_registration = engine::SelfRegistration::denied;
  engine.policy.replace(policy);
  scopes = static_cast<Scopes>(Scope::enroll);
  EXPECT_EQ(ask(Method::post, devices, R"({"name":"n"})").status, 201u);
}

TEST_F(Registration, IsPicturedWhilePending) {
  const std::string path = path_of(begun());
  const Response svg = ask(Method::get, path + "/qr.svg");
  EXPECT_EQ(svg.status, 200u);
  EXPECT_EQ(svg.content_type, "image/svg+xml");
  EXPECT_TRUE(svg.no_store);
  const Response png = ask(Method::get, path + "/qr.png");
  EXPECT_EQ(png.content_type, "image/png");
  EXPECT_EQ(png.body.substr(1, 3), "PNG");
  now.value += 600'000;
  EXPECT_EQ(refusal(Method::get, path + "/qr.svg"), "410 expired");
  const std::string active = registered("other");
  EXPECT_EQ(refusal(Method::get, active + "/qr.png"), "409 not_pending");
  EXPECT_EQ(refusal(Method::get, devices + "/0123456789abcdef/qr.png"), "404 device_not_found");
  EXPECT_EQ(refusal(Method::get, devices + "/phone/qr.png"), "404 device_not_found");
}

TEST_F(Registration, IsConfirmedByACode) {
  const json::object pending = begun();
  const std::string body = R"({"code":")" + code(text(pending, "secret")) + R"("})";
  const json::object device = object(200, Method::post, path_of(pending) + "/confirm", body);
  EXPECT_EQ(text(device, "status"), "active");
  EXPECT_EQ(text(device, "result"), "accepted");
  EXPECT_EQ(text(device, "confirmed_at"), "2026-11-24T14:00:00Z");
  EXPECT_FALSE(device.contains("expires_at"));
  EXPECT_FALSE(device.contains("secret"));
  EXPECT_EQ(refusal(Method::post, path_of(pending) + "/confirm", body), "409 not_pending");
}

TEST_F(Registration, SaysHowWrongAClockIs) {
  const json::object pending = begun();
  const json::object answer = object(200, Method::post, path_of(pending) + "/confirm",
                                     R"({"code":")" + code(text(pending, "secret"), -10) + R"("})");
  EXPECT_EQ(text(answer, "result"), "rejected");
  EXPECT_LT(answer.at("clock_offset_s").as_int64(), 0);
}

TEST_F(Registration, RefusesWhatIsNoCode) {
  const std::string confirm = path_of(begun()) + "/confirm";
  EXPECT_EQ(refusal(Method::post, confirm, R"({"code":"12 345"})"), "400 bad_request code");
  EXPECT_EQ(refusal(Method::post, confirm, R"({"code":123456})"), "400 bad_request code");
  EXPECT_EQ(refusal(Method::post, confirm, R"({"code":"12345678"})"), "422 code_length code");
  EXPECT_EQ(refusal(Method::post, confirm, "{}"), "400 bad_request code");
}

TEST_F(Registration, OfALongNameStillHasItsSecretWhereNoPictureCanHoldIt) {
  std::string colons;
  for (int i = 0; i < 256; ++i) colons += "%3A";
  engine::Policy policy;
  policy.issuer.clear();
  for (int i = 0; i < 64; ++i) policy.issuer += "😀";
  engine.policy.replace(policy);
  const std::string body =
      R"({"name":"n","algorithm":"SHA512","digits":8,"period":60,"secret":")" + std::string(410, 'A') + R"("})";
  const json::object device = object(201, Method::post, "/v1/users/" + colons + "/devices", body);
  EXPECT_TRUE(device.at("qr").is_null());
  EXPECT_EQ(refusal(Method::get, "/v1/users/" + colons + "/devices/" + text(device, "id") + "/qr.svg"), "422 qr_too_large");
}

TEST_F(Registration, GivesADeviceThatIsManaged) {
  const std::string device = registered();
  EXPECT_EQ(object(200, Method::get, devices).at("devices").as_array().size(), 1u);
  EXPECT_EQ(text(object(200, Method::patch, device, R"({"name":"Old phone"})"), "name"), "Old phone");
  EXPECT_FALSE(object(200, Method::patch, device, R"({"enabled":false})").at("enabled").as_bool());
  EXPECT_EQ(refusal(Method::patch, device, "{}"), "400 bad_request");
  EXPECT_EQ(refusal(Method::patch, device, R"({"name":"","enabled":true})"), "400 bad_request name");
  EXPECT_EQ(refusal(Method::patch, device, R"({"digits":8})"), "400 bad_request digits");
  EXPECT_EQ(refusal(Method::del, device), "204");
  EXPECT_EQ(refusal(Method::del, device), "404 device_not_found");
  EXPECT_EQ(refusal(Method::get, device), "404 device_not_found");
  EXPECT_EQ(refusal(Method::get, "/v1/users/nobody/devices"), "404 user_not_found");
}

TEST_F(Registration, IsResynchronisedByTwoCodes) {
  const std::string device = registered();
  now.value += 3'600'000;
  const auto codes = [&](int first) {
    return R"({"code1":")" + code(secret, first) + R"(","code2":")" + code(secret, first + 1) + R"("})";
  };
  const json::object accepted = object(200, Method::post, device + "/resync", codes(5));
  EXPECT_EQ(text(accepted, "result"), "accepted");
  EXPECT_NE(accepted.at("drift_steps").as_int64(), 0);
  EXPECT_EQ(text(accepted, "name"), "phone");
  EXPECT_EQ(text(object(200, Method::post, device + "/resync", codes(5)), "result"), "replayed");
  EXPECT_EQ(text(object(200, Method::post, device + "/resync", codes(-100)), "result"), "rejected");
  EXPECT_EQ(refusal(Method::post, device + "/resync", R"({"code1":"123456"})"), "400 bad_request code2");
  EXPECT_EQ(refusal(Method::post, device + "/resync", R"({"code1":"1234567","code2":"1234568"})"), "422 code_length code1");
}

TEST_F(Registration, GivesADeviceThatWrongGuessesLockAndAnAdministratorUnlocks) {
  const std::string device = registered();
  json::object answer;
  for (int guesses = 0; guesses < 20 && answer["result"] != "locked"; ++guesses) {
    answer = object(200, Method::post, device + "/resync", R"({"code1":"000000","code2":"000000"})");
  }
  EXPECT_EQ(text(answer, "result"), "locked");
  EXPECT_GE(answer.at("retry_after_s").as_int64(), 1);
  const json::object user = object(200, Method::get, "/v1/users/alice");
  EXPECT_TRUE(user.at("locked").as_bool());
  EXPECT_GE(user.at("failures").as_int64(), 10);
  EXPECT_GE(user.at("retry_after_s").as_int64(), 1);
  EXPECT_FALSE(user.contains("hard_locked"));
  const json::object unlocked = object(200, Method::post, "/v1/users/alice/unlock");
  EXPECT_FALSE(unlocked.at("locked").as_bool());
  EXPECT_EQ(unlocked.at("failures").as_int64(), 0);
}

}  // namespace
}  // namespace watchword::api
