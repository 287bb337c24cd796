// The bodies of `POST /v1/verify` and `/v1/verify/batch`, read strictly and without allocation into fields of fixed size.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/admin_json.h"
#include "engine/recovery_codes.h"
#include "engine/types.h"

namespace watchword::api {

inline constexpr std::size_t request_id_bytes_max = 128;
inline constexpr std::size_t batch_items_max = 1000;

// A text with room for `Max` bytes.
template <std::size_t Max>
class FixedText {
 public:
  // False if it does not fit; then nothing is kept of `part`.
  bool append(std::string_view part) {
    if (part.size() > Max - bytes_) return false;
    part.copy(text_.data() + bytes_, part.size());
    bytes_ = static_cast<std::uint16_t>(bytes_ + part.size());
    return true;
  }
  void clear() { bytes_ = 0; }
  std::string_view view() const { return {text_.data(), bytes_}; }

 private:
  static_assert(Max <= UINT16_MAX);
  std::uint16_t bytes_ = 0;
  std::array<char, Max> text_;
};

// What is asked about one person. After a successful parse every field is valid.
struct VerifyFields {
  FixedText<engine::user_bytes_max> user;
  FixedText<engine::recovery_text_bytes_max> code_text;
  FixedText<16> device_text;
  FixedText<request_id_bytes_max> request_id;
  engine::Code code;
  std::optional<engine::RecoveryCode> recovery_code;  // instead of `code`, where the text has its form
  std::optional<engine::DeviceId> device;
  std::uint8_t seen = 0;  // while it is read: which fields came

  void clear();
};

// nullopt: `fields` is filled in. No allocation unless there is a fault to tell.
std::optional<RequestFault> parse_verify(std::string_view body, VerifyFields& fields);

// Where the items of a batch go, in order.
class BatchItems {
 public:
  virtual ~BatchItems() = default;
  // Called at most batch_items_max times; the item stays in place until the parse ends.
  virtual VerifyFields& add() = 0;
};
// One bad item makes the whole batch a fault, its field named "items[3].code". A batch has at least one item.
std::optional<RequestFault> parse_batch(std::string_view body, BatchItems& items);

}  // namespace watchword::api
