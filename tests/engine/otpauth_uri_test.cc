#include "engine/otpauth_uri.h"

#include <gtest/gtest.h>

#include "engine/base32.h"

namespace watchword::engine {
namespace {

// RFC 4226's secret: 12345678901234567890.
constexpr std::string_view secret_text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

OtpauthKey key(std::string issuer, std::string account, OtpParameters parameters = {}) {
  return {std::move(issuer), std::move(account), SecretBytes(*base32_decode(secret_text)), parameters};
}

TEST(Base32, HasNoPaddingAndTheKnownLengths) {
  for (const auto& [bytes, characters] : {std::pair{20, 32}, {16, 26}, {32, 52}, {64, 103}, {10, 16}}) {
    const std::string text = base32_encode(std::vector<std::uint8_t>(static_cast<std::size_t>(bytes), 0xa5));
    EXPECT_EQ(text.size(), static_cast<std::size_t>(characters));
    EXPECT_EQ(text.find('='), std::string::npos);
    EXPECT_EQ(base32_decode(text), std::vector<std::uint8_t>(static_cast<std::size_t>(bytes), 0xa5));
  }
}

TEST(Base32, TakesWhatPeoplePaste) {
  const std::vector<std::uint8_t> wanted{'f', 'o', 'o', 'b'};  // RFC 4648 section 10
  for (const char* text : {"MZXW6YQ=", "mzxw6yq", "MZXW 6YQ", "mzxw-6yq=", "MZXW6YQ"})
    EXPECT_EQ(base32_decode(text), wanted) << text;
  EXPECT_EQ(base32_decode("MZXW6YTBOI======"), (std::vector<std::uint8_t>{'f', 'o', 'o', 'b', 'a', 'r'}));
}

TEST(Base32, RefusesWhatIsNone) {
  for (const char* text : {"0AAAAAAA", "1AAAAAAA", "8AAAAAAA", "9AAAAAAA", "A", "ABC", "ABCDEF", "MZ", "MZXW6YR", "MZXW6Y!",
                           "MZ=XW6YQ", "MZXW6Yé"}) {
    EXPECT_FALSE(base32_decode(text)) << text;
  }
}

struct Golden {
  OtpauthKey key;
  std::string uri;
};

TEST(OtpauthUri, IsAsAppsReadIt) {
  const std::string secret(secret_text);
  const std::vector<Golden> golden = {
      {key("Watchword", "ada"), "otpauth://totp/Watchword:ada?secret=" + secret + "&issuer=Watchword"},
      {key("ACME Co", "ada@example.org"),
       "otpauth://totp/ACME%20Co:ada%40example.org?secret=" + secret + "&issuer=ACME%20Co"},
      {key("A&B #1 50% \"x\"+", "a/b?c=d"), "otpauth://totp/A%26B%20%231%2050%25%20%22x%22%2B:a%2Fb%3Fc%3Dd?secret=" +
                                                secret + "&issuer=A%26B%20%231%2050%25%20%22x%22%2B"},
      {key("Zoë 😀", "名"),
       "otpauth://totp/Zo%C3%AB%20%F0%9F%98%80:%E5%90%8D?secret=" + secret + "&issuer=Zo%C3%AB%20%F0%9F%98%80"},
      {key("Watchword", "a:b"), "otpauth://totp/Watchword:a%EA%9E%89b?secret=" + secret + "&issuer=Watchword"},
      {key("W", "ada", {Algorithm::sha512, 8, 60}),
       "otpauth://totp/W:ada?secret=" + secret + "&issuer=W&algorithm=SHA512&digits=8&period=60"},
  };
  for (const Golden& one : golden) {
    EXPECT_EQ(make_otpauth_uri(one.key), one.uri);
    EXPECT_EQ(one.uri.find('+'), std::string::npos);
    EXPECT_EQ(one.uri.find("="), one.uri.find("=" + secret)) << "no padding";
    const auto read = parse_otpauth_uri(one.uri);
    ASSERT_TRUE(read) << one.uri;
    EXPECT_EQ(read->issuer, one.key.issuer);
    EXPECT_EQ(read->secret.bytes(), one.key.secret.bytes());
    EXPECT_EQ(read->parameters, one.key.parameters);
    if (one.key.account.find(':') == std::string::npos) {
      EXPECT_EQ(read->account, one.key.account);
    }
  }
}

TEST(OtpauthUri, ReadsWhatOthersWrite) {
  const auto encoded =
      parse_otpauth_uri("otpauth://totp/Big%20Corporation%3A%20alice%40bigco.com?secret=" + std::string(secret_text));
  ASSERT_TRUE(encoded);
  EXPECT_EQ(encoded->issuer, "Big Corporation");
  EXPECT_EQ(encoded->account, "alice@bigco.com");
  EXPECT_EQ(encoded->parameters, OtpParameters{}) << "the defaults where nothing is said";
  const auto only_parameter =
      parse_otpauth_uri("otpauth://totp/alice?issuer=Big&image=x&secret=" + std::string(secret_text));
  ASSERT_TRUE(only_parameter);
  EXPECT_EQ(only_parameter->issuer, "Big");
}

TEST(OtpauthUri, RefusesWhatItCannotRegister) {
  const std::string secret = "secret=" + std::string(secret_text);
  for (const std::string& wrong :
       {std::string(""), "otpauth://hotp/W:a?counter=0&" + secret, "https://totp/W:a?" + secret,
        "otpauth://totp/W:a?issuer=Other&" + secret, "otpauth://totp/W:a?algorithm=MD5&" + secret,
        "otpauth://totp/W:a?digits=5&" + secret, "otpauth://totp/W:a?digits=9&" + secret,
        "otpauth://totp/W:a?period=14&" + secret, "otpauth://totp/W:a?period=x&" + secret, std::string("otpauth://totp/W:a"),
        std::string("otpauth://totp/W:a?issuer=W"), std::string("otpauth://totp/W:a?secret=189"),
        "otpauth://totp/?" + secret, "otpauth://totp/W:a:b?" + secret, "otpauth://totp/W%3?" + secret,
        "otpauth://totp/W:a?" + secret + "&" + secret}) {
    EXPECT_FALSE(parse_otpauth_uri(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace watchword::engine
