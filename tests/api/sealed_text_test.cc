#include "api/sealed_text.h"

#include <gtest/gtest.h>

namespace watchword::api {
namespace {

TEST(TextSealer, OpensWhatItSealedAndNothingElse) {
  const TextSealer sealer, other;
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("\0\xff, any bytes", 13), std::string(900, 'x')}) {
    const std::string sealed = sealer.seal(text);
    EXPECT_EQ(sealer.open(sealed), text);
    EXPECT_FALSE(other.open(sealed));
    EXPECT_NE(sealer.seal(text), sealed) << "no two are alike";
    for (std::size_t i = 0; i < sealed.size(); i += 7) {
      std::string changed = sealed;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(sealer.open(changed)) << i;
    }
    EXPECT_FALSE(sealer.open(sealed.substr(0, sealed.size() - 4)));
  }
  for (const char* const text : {"", "A", "====", "not base64!"}) EXPECT_FALSE(sealer.open(text)) << text;
  EXPECT_FALSE(sealer.open(std::string(5000, 'A')));
}

}  // namespace
}  // namespace watchword::api
