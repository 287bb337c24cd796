#include "api/qr.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>

#include "api/base64.h"

namespace watchword::api {
namespace {

// What a scanner reads from the picture.
std::string scanned(const std::string& png) {
  char name[] = "/tmp/watchword-qr-XXXXXX.png";
  const int file = mkstemps(name, 4);
  EXPECT_GE(file, 0);
  close(file);
  std::ofstream(name, std::ios::binary) << png;
  FILE* const pipe =
      popen(("zbarimg --raw -q -Sdisable -Sqrcode.enable " + std::string(name) + " 2>/dev/null").c_str(), "r");
  std::string text;
  char buffer[4096];
  for (std::size_t n; (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  pclose(pipe);
  unlink(name);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::string uri_of_size(std::size_t size) {
  std::string uri = "otpauth://totp/Watchword:alice%40example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Watchword";
  while (uri.size() < size) uri += "%C3%A9x"[uri.size() % 7];
  uri.resize(size);
  return uri;
}

TEST(QrCode, IsReadBackByAScanner) {
  const std::string uri =
      "otpauth://totp/Watchword:alice%40example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Watchword";
  EXPECT_EQ(scanned(qr_png(*QrCode::encode(uri))), uri);
}

TEST(QrCode, OfALongUriIsStillRead) {
  for (const std::size_t size : {183u, 260u, 391u, 700u}) {
    const std::string uri = uri_of_size(size);
    EXPECT_EQ(scanned(qr_png(*QrCode::encode(uri))), uri) << size;
  }
}

TEST(QrCode, GivesUpRedundancyBeforeModulesGetSmall) {
  EXPECT_EQ(QrCode::encode(uri_of_size(95))->width(), 41u);   // version 6, level M
  EXPECT_EQ(QrCode::encode(uri_of_size(391))->width(), 69u);  // version 13, level L
}

TEST(QrCode, RefusesWhatNoQrCodeHolds) {
  EXPECT_TRUE(QrCode::encode(std::string(2900, 'a')).has_value());
  EXPECT_FALSE(QrCode::encode(std::string(3000, 'a')).has_value());
}

TEST(QrSvg, HasQuietZoneWhiteGroundAndNothingAPolicyWouldBlock) {
  const QrCode code = *QrCode::encode("otpauth://totp/A:b?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=A");
  const std::string svg = qr_svg(code);
  const std::string side = std::to_string(code.width() + 8);
  EXPECT_NE(svg.find("viewBox=\"0 0 " + side + " " + side + "\""), std::string::npos);
  EXPECT_NE(svg.find("<rect width=\"" + side + "\" height=\"" + side + "\" fill=\"#fff\"/>"), std::string::npos);
  EXPECT_NE(svg.find("role=\"img\" aria-label="), std::string::npos);
  EXPECT_EQ(svg.find("style"), std::string::npos);
  EXPECT_EQ(svg.find("script"), std::string::npos);
}

// The finder pattern's top edge: seven dark modules at the quiet zone's corner.
TEST(QrSvg, DrawsRunsOfDarkModules) {
  EXPECT_NE(qr_svg(*QrCode::encode("otpauth://totp/A:b")).find("d=\"M4 4h7v1h-7z"), std::string::npos);
}

TEST(QrPng, IsEightPixelsAModuleWithQuietZone) {
  const QrCode code = *QrCode::encode("otpauth://totp/A:b");
  const std::string png = qr_png(code);
  ASSERT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  const auto byte = [&](std::size_t at) { return static_cast<unsigned>(static_cast<unsigned char>(png[at])); };
  EXPECT_EQ(byte(18) << 8 | byte(19), (code.width() + 8) * 8);
  EXPECT_EQ(byte(24), 1u);  // bit depth
  EXPECT_EQ(byte(25), 0u);  // grey scale
}

TEST(Base64, WritesTheVectorsOfRfc4648) {
  EXPECT_EQ(base64_encode(""), "");
  EXPECT_EQ(base64_encode("f"), "Zg==");
  EXPECT_EQ(base64_encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64url_encode("\xfb\xff"), "-_8");
}

TEST(Base64, ReadsOnlyWhatItWrites) {
  for (const std::string_view bytes : {"", "f", "fo", "foo", "alice@example.org"}) {
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
  }
  for (const std::string_view text : {"Zg==", "Zh", "Z", "Zm 9", "Zm+v", "Zm9v\n", "====", "Zg="}) {
    EXPECT_FALSE(base64url_decode(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace watchword::api
