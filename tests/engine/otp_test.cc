#include "engine/otp.h"

#include <gtest/gtest.h>
#include <liboath/oath.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "engine/otp_truncation.h"

namespace watchword::engine {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Row = std::map<std::string, std::string>;

std::vector<Row> rows(const std::string& file) {
  std::ifstream in(std::string(WATCHWORD_VECTORS) + "/" + file);
  EXPECT_TRUE(in) << file;
  const auto split = [](const std::string& line) {
    std::vector<std::string> parts;
    std::stringstream stream(line);
    for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
    return parts;
  };
  std::string line;
  std::getline(in, line);
  const auto names = split(line);
  std::vector<Row> found;
  while (std::getline(in, line)) {
    const auto values = split(line);
    if (values.size() != names.size()) continue;
    Row row;
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = values[i];
    found.push_back(row);
  }
  return found;
}

Bytes from_hex(const std::string& hex) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Bytes ascii_seed(std::size_t length) {
  Bytes seed;
  for (std::size_t i = 0; i < length; ++i) seed.push_back(static_cast<std::uint8_t>('0' + (i + 1) % 10));
  return seed;
}

class Kernels : public ::testing::TestWithParam<const HmacKernel*> {
 protected:
  std::string code(Algorithm algorithm, const Bytes& secret, std::uint64_t counter, std::uint8_t digits) const {
    alignas(8) std::uint8_t state[key_state_bytes_max];
    derive_key_state(algorithm, secret, state);
    std::uint32_t value = 0;
    GetParam()->truncate(algorithm, state, counter, 1, &value);
    return format_code(value, digits);
  }
};

std::vector<const HmacKernel*> kernels() {
  std::vector<const HmacKernel*> all = {&openssl_kernel()};
  if (sha_extensions_kernel() != nullptr) all.push_back(sha_extensions_kernel());
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, Kernels, ::testing::ValuesIn(kernels()), [](const auto& kernel) {
  std::string name = kernel.param->name;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

TEST_P(Kernels, GiveTheCodesOfRfc4226) {
  const auto table = rows("rfc4226.csv");
  ASSERT_EQ(table.size(), 10u);
  for (const Row& row : table) {
    EXPECT_EQ(code(Algorithm::sha1, from_hex(row.at("secret_hex")), std::stoull(row.at("counter")), 6), row.at("code"));
  }
}

TEST_P(Kernels, GiveTheCodesOfRfc6238AndOfOathtool) {
  std::size_t checked = 0;
  for (const char* file : {"rfc6238.csv", "oathtool.csv"}) {
    for (const Row& row : rows(file)) {
      const std::uint64_t step = std::stoull(row.at("unix_time_s")) / std::stoull(row.at("period_s"));
      EXPECT_EQ(code(*parse_algorithm(row.at("algorithm")), from_hex(row.at("secret_hex")), step,
                     static_cast<std::uint8_t>(std::stoi(row.at("digits")))),
                row.at("code"));
      ++checked;
    }
  }
  EXPECT_EQ(checked, 618u);
}

TEST_P(Kernels, DoNotGiveThemForTheTwentyByteSeedWhereAnotherIsDue) {
  const Bytes seed = ascii_seed(20);
  EXPECT_EQ(code(Algorithm::sha256, seed, 59 / 30, 8), "32247374");
  EXPECT_EQ(code(Algorithm::sha512, seed, 59 / 30, 8), "69342147");
  EXPECT_EQ(code(Algorithm::sha256, ascii_seed(32), 59 / 30, 8), "46119246");
  EXPECT_EQ(code(Algorithm::sha512, ascii_seed(64), 59 / 30, 8), "90693936");
}

TEST_P(Kernels, TakeCountersBeyondThirtyTwoBits) {
  const Bytes seed = ascii_seed(20);
  EXPECT_EQ(code(Algorithm::sha1, seed, 0x80000000, 6), "197202");
  EXPECT_EQ(code(Algorithm::sha1, seed, 0xffffffff, 6), "117190");
  EXPECT_EQ(code(Algorithm::sha1, seed, 0x100000000, 6), "999456");
  EXPECT_EQ(code(Algorithm::sha1, seed, 0x100000001, 6), "108930");
}

TEST_P(Kernels, AgreeWithOpenSslForEveryCountAndKeyLength) {
  std::mt19937_64 random(42);
  for (const Algorithm algorithm : {Algorithm::sha1, Algorithm::sha256, Algorithm::sha512}) {
    const EVP_MD* const digest = algorithm == Algorithm::sha1     ? EVP_sha1()
                                 : algorithm == Algorithm::sha256 ? EVP_sha256()
                                                                  : EVP_sha512();
    for (std::size_t length = 0; length <= 140; ++length) {
      Bytes secret(length);
      for (auto& byte : secret) byte = static_cast<std::uint8_t>(random());
      alignas(8) std::uint8_t state[key_state_bytes_max];
      derive_key_state(algorithm, secret, state);
      const std::size_t count = 1 + length % 25;
      const std::uint64_t first = random() >> (length % 40);
      std::vector<std::uint32_t> values(count);
      GetParam()->truncate(algorithm, state, first, count, values.data());
      for (std::size_t i = 0; i < count; ++i) {
        std::uint8_t message[8], mac[EVP_MAX_MD_SIZE];
        for (std::size_t k = 0; k < 8; ++k) message[k] = static_cast<std::uint8_t>((first + i) >> (56 - 8 * k));
        unsigned bytes = 0;
        static const std::uint8_t nothing = 0;
        HMAC(digest, secret.empty() ? &nothing : secret.data(), static_cast<int>(length), message, 8, mac, &bytes);
        ASSERT_EQ(values[i], truncate_digest(mac, bytes)) << "length " << length << " count " << count << " at " << i;
      }
    }
  }
}

TEST_P(Kernels, AgreeWithLiboathForTwoThousandRandomKeys) {
  std::mt19937_64 random(7);
  ASSERT_EQ(oath_init(), OATH_OK);
  for (int i = 0; i < 2000; ++i) {
    Bytes secret(10 + random() % 191);
    for (auto& byte : secret) byte = static_cast<std::uint8_t>(random());
    const OtpParameters parameters{.algorithm = static_cast<Algorithm>(1 + random() % 3),
                                   .digits = static_cast<std::uint8_t>(6 + random() % 3),
                                   .period_s = static_cast<std::uint16_t>(15 + random() % 286)};
    const auto now_s = static_cast<std::int64_t>(random() % 20'000'000'000);
    const int flags = parameters.algorithm == Algorithm::sha1     ? 0
                      : parameters.algorithm == Algorithm::sha256 ? OATH_TOTP_HMAC_SHA256
                                                                  : OATH_TOTP_HMAC_SHA512;
    char expected[16];
    ASSERT_EQ(oath_totp_generate2(reinterpret_cast<const char*>(secret.data()), secret.size(), now_s, parameters.period_s, 0,
                                  parameters.digits, flags, expected),
              OATH_OK);
    ASSERT_TRUE(valid(parameters));
    const auto step = static_cast<std::uint64_t>(step_at({now_s * 1000}, parameters.period_s));
    ASSERT_EQ(code(parameters.algorithm, secret, step, parameters.digits), expected);
    ASSERT_EQ(totp(parameters, secret, {now_s * 1000 + 999}), expected);
  }
}

void agrees_with_openssl(SideBySide kernel) {
  if (kernel == nullptr) GTEST_SKIP() << "this processor lacks it";
  std::mt19937_64 random(11);
  for (std::size_t count = 1; count <= 70; ++count) {
    std::vector<std::array<std::uint8_t, 40>> states(count);
    std::vector<std::uint32_t> values(count), expected(count);
    std::vector<CodeJob> jobs(count);
    for (std::size_t i = 0; i < count; ++i) {
      Bytes secret(random() % 100);
      for (auto& byte : secret) byte = static_cast<std::uint8_t>(random());
      alignas(8) std::uint8_t state[key_state_bytes_max];
      derive_key_state(Algorithm::sha1, secret, state);
      std::copy_n(state, 40, states[i].begin());
      jobs[i] = {states[i].data(), random() >> (random() % 64), &values[i]};
      openssl_kernel().truncate(Algorithm::sha1, state, jobs[i].counter, 1, &expected[i]);
    }
    kernel(jobs.data(), count);
    ASSERT_EQ(values, expected) << count;
  }
}

TEST(SideBySide, VectorsAgreeWithOpenSslForRandomKeysAndCountersInEveryNumber) {
  agrees_with_openssl(avx2_side_by_side());
}

TEST(SideBySide, ShaExtensionsAgreeWithOpenSslForRandomKeysAndCountersInEveryNumber) {
  agrees_with_openssl(sha_extensions_kernel() == nullptr ? nullptr : sha_extensions_kernel()->sha1_side_by_side);
}

TEST(FormatCode, KeepsLeadingZeros) {
  EXPECT_EQ(format_code(0, 6), "000000");
  EXPECT_EQ(format_code(7081804, 8), "07081804");
  EXPECT_EQ(format_code(1284755224, 6), "755224");
}

}  // namespace
}  // namespace watchword::engine
