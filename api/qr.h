// QR codes (ISO/IEC 18004) of otpauth URIs, as pictures that a page with a strict Content-Security-Policy can show.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace watchword::api {

inline constexpr unsigned qr_quiet_zone_modules = 4;  // ISO/IEC 18004 asks for four
inline constexpr unsigned qr_pixels_per_module = 8;   // 37 modules and the quiet zone: 360 pixels
// Above this version modules get small on a phone's camera: fewer of them (level L) help more than redundancy (level M).
inline constexpr int qr_version_max_at_level_m = 10;

// The square of modules, without quiet zone.
class QrCode {
 public:
  // nullopt: no QR code holds so much (about 2,900 bytes). Thread-safe.
  static std::optional<QrCode> encode(const std::string& text);

  unsigned width() const { return width_; }
  bool dark(unsigned x, unsigned y) const { return modules_[std::size_t{y} * width_ + x]; }

 private:
  QrCode(unsigned width, std::vector<bool> modules) : width_(width), modules_(std::move(modules)) {}
  unsigned width_;
  std::vector<bool> modules_;
};

// One path of horizontal runs on a white ground, quiet zone included; no script, no style attribute, scales without blur.
std::string qr_svg(const QrCode& code);
// One bit a pixel, grey scale. Throws std::runtime_error when libpng fails.
std::string qr_png(const QrCode& code);

}  // namespace watchword::api
