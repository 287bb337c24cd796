#include "api/qr.h"

#include <csetjmp>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>

#include <png.h>
#include <qrencode.h>

namespace watchword::api {
namespace {

struct FreeCode {
  void operator()(QRcode* code) const { QRcode_free(code); }
};
using Encoded = std::unique_ptr<QRcode, FreeCode>;

// Eight-bit mode lets the library switch to alphanumeric for the runs of base32.
Encoded encode_at(const std::string& text, QRecLevel level) {
  constexpr int smallest_version_that_fits = 0;
  constexpr int case_sensitive = 1;
  return Encoded(QRcode_encodeString(text.c_str(), smallest_version_that_fits, level, QR_MODE_8, case_sensitive));
}

void append_run(std::string& path, unsigned x, unsigned y, unsigned length) {
  path += 'M';
  path += std::to_string(x + qr_quiet_zone_modules);
  path += ' ';
  path += std::to_string(y + qr_quiet_zone_modules);
  path += 'h';
  path += std::to_string(length);
  path += "v1h-";
  path += std::to_string(length);
  path += 'z';
}

// A row of pixels, most significant bit leftmost; a set bit is white.
std::vector<std::uint8_t> pixel_row(const QrCode& code, unsigned y) {
  const unsigned pixels = (code.width() + 2 * qr_quiet_zone_modules) * qr_pixels_per_module;
  std::vector<std::uint8_t> row(pixels / 8, 0xff);
  static_assert(qr_pixels_per_module == 8, "a module is a byte of the row");
  for (unsigned x = 0; x < code.width(); ++x) {
    if (code.dark(x, y)) row[x + qr_quiet_zone_modules] = 0;
  }
  return row;
}

void append_png(png_structp png, png_bytep data, std::size_t size) {
  auto& out = *static_cast<std::string*>(png_get_io_ptr(png));
  try {
    out.append(reinterpret_cast<const char*>(data), size);
  } catch (...) {
    png_error(png, "out of memory");
  }
}

// libpng reports by longjmp, which must not cross a C++ object that wants its destructor: this frame holds none.
bool write_png(png_structp png, png_infop info, std::string* out, png_bytepp rows, png_uint_32 side) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, out, append_png, nullptr);
  png_set_IHDR(png, info, side, side, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, nullptr);
  return true;
}

}  // namespace

std::optional<QrCode> QrCode::encode(const std::string& text) {
  Encoded code = encode_at(text, QR_ECLEVEL_M);
  if (!code || code->version > qr_version_max_at_level_m) code = encode_at(text, QR_ECLEVEL_L);
  if (!code) return std::nullopt;
  const auto width = static_cast<unsigned>(code->width);
  std::vector<bool> modules(std::size_t{width} * width);
  for (std::size_t i = 0; i < modules.size(); ++i) modules[i] = (code->data[i] & 1) != 0;
  return QrCode(width, std::move(modules));
}

std::string qr_svg(const QrCode& code) {
  const std::string side = std::to_string(code.width() + 2 * qr_quiet_zone_modules);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + side + " " + side +
                    "\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR code for an authenticator app\">"
                    "<rect width=\"" +
                    side + "\" height=\"" + side + "\" fill=\"#fff\"/><path fill=\"#000\" d=\"";
  for (unsigned y = 0; y < code.width(); ++y) {
    for (unsigned x = 0; x < code.width();) {
      unsigned end = x;
      while (end < code.width() && code.dark(end, y)) ++end;
      if (end > x) append_run(svg, x, y, end - x);
      x = end + 1;
    }
  }
  return svg + "\"/></svg>";
}

std::string qr_png(const QrCode& code) {
  const unsigned side = (code.width() + 2 * qr_quiet_zone_modules) * qr_pixels_per_module;
  std::vector<std::vector<std::uint8_t>> module_rows;
  for (unsigned y = 0; y < code.width(); ++y) module_rows.push_back(pixel_row(code, y));
  std::vector<std::uint8_t> white(side / 8, 0xff);
  std::vector<png_bytep> rows(side, white.data());
  for (unsigned y = 0; y < code.width() * qr_pixels_per_module; ++y) {
    rows[y + qr_quiet_zone_modules * qr_pixels_per_module] = module_rows[y / qr_pixels_per_module].data();
  }

  const auto silent = [](png_structp, png_const_charp) {};
  const auto jump = [](png_structp png, png_const_charp) { png_longjmp(png, 1); };
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, jump, silent);
  png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
  std::string out;
  const bool written = info != nullptr && write_png(png, info, &out, rows.data(), side);
  png_destroy_write_struct(&png, &info);
  if (!written) throw std::runtime_error("libpng could not write a QR code");
  return out;
}

}  // namespace watchword::api
