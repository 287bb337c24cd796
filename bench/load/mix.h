// What is asked, and how much of each.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace watchword::load {

enum class Kind : std::uint8_t {
  accept,        // a fresh code: accepted
  wrong,         // a wrong code, many people in turn: rejected, or locked once the limit is reached
  replay,        // a code that was accepted before: replayed
  batch,         // many people in one request, fresh codes and used ones
  registration,  // a device is begun; the confirmation follows at once
  cold,          // the first sign-in of a person since the server began
  hot,           // one person's present code from every connection: accepted once a step
  attack_one,    // guesses at one person: no more are looked at than policy allows
  attack_many,   // a guess at each of many people in turn
  unknown,       // nobody of that name
  confirm,       // follows registration
  prime,         // the accepted code before a replay
};
inline constexpr std::size_t kinds = 12;

std::string_view name_of(Kind kind);

class Mix {
 public:
  // "accept" or "accept=80,wrong=15,replay=5": weights need not add up to anything. Refused: a kind that is not known, named
  // twice or that cannot be asked for by itself, a weight that is not a positive number.
  static tl::expected<Mix, std::string> parse(std::string_view text);

  // Kinds in the order in which they are asked, in exact proportion over `cycle` requests and well mixed.
  static constexpr std::size_t cycle = 1000;
  const std::vector<Kind>& order() const { return order_; }
  bool has(Kind kind) const { return weights_.contains(kind); }
  // Of 1.
  double share(Kind kind) const;
  std::string text() const;

 private:
  std::map<Kind, double> weights_;
  double total_ = 0;
  std::vector<Kind> order_;
};

}  // namespace watchword::load
