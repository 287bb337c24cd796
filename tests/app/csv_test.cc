#include "app/csv.h"

#include <gtest/gtest.h>

#include <sstream>

#include "app/bulk_rows.h"

namespace watchword::app {
namespace {

using Fields = std::vector<std::string>;

TEST(Csv, SplitsFieldsAndUndoesQuotes) {
  EXPECT_EQ(split_csv("a,b,c"), (Fields{"a", "b", "c"}));
  EXPECT_EQ(split_csv(""), (Fields{""}));
  EXPECT_EQ(split_csv(",,"), (Fields{"", "", ""}));
  EXPECT_EQ(split_csv("\"a,b\",\"say \"\"hi\"\"\",\"\""), (Fields{"a,b", "say \"hi\"", ""}));
  EXPECT_EQ(split_csv("5\" disk,x"), (Fields{"5\" disk", "x"}));
}

TEST(Csv, RefusesQuotesThatDoNotMatch) {
  EXPECT_FALSE(split_csv("\"a"));
  EXPECT_FALSE(split_csv("\"a\"b,c"));
  EXPECT_FALSE(split_csv("a,\"b,c"));
}

TEST(Csv, WhatItWritesItReads) {
  for (const std::string text : {"plain", "with, comma", "with \"quotes\"", "", "\"", ","}) {
    EXPECT_EQ(split_csv(csv_field(text) + "," + csv_field(text)), (Fields{text, text}));
  }
}

TEST(Csv, ReadsLinesWithEitherEndAndTheLastWithout) {
  std::istringstream in(
      "\xef\xbb\xbf"
      "one\r\n\ntwo\nthree");
  LineReader lines(in);
  for (const char* text : {"one", "", "two", "three"}) {
    const auto line = lines.next();
    ASSERT_TRUE(line);
    EXPECT_EQ(line->text, text);
    EXPECT_FALSE(line->cut);
  }
  EXPECT_FALSE(lines.next());
}

TEST(Csv, ALineThatIsTooLongIsCutAndTheNextIsWhole) {
  std::istringstream in(std::string(100'000, 'x') + "\nnext\n" + std::string(LineReader::line_bytes_max, 'y') + "\n" +
                        std::string(LineReader::line_bytes_max + 2, 'z'));
  LineReader lines(in);
  EXPECT_TRUE(lines.next()->cut);
  const auto next = lines.next();
  EXPECT_EQ(next->text, "next");
  EXPECT_EQ(next->number, 2u);
  const auto longest = lines.next();
  EXPECT_FALSE(longest->cut);
  EXPECT_EQ(longest->text.size(), LineReader::line_bytes_max);
  EXPECT_TRUE(lines.next()->cut);
  EXPECT_FALSE(lines.next());
}

TEST(Rows, AFaultHoldsNothingOfTheSecret) {
  const auto row = parse_row("u,n,SECRETSECRET0189,,,");
  ASSERT_FALSE(row);
  EXPECT_EQ(row.error().find("SECRET"), std::string::npos);
}

TEST(Rows, TakesTheUsualParametersWhereColumnsAreEmpty) {
  const auto row = parse_row("u,n,JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP,,,");
  ASSERT_TRUE(row) << row.error();
  EXPECT_EQ(row->parameters, engine::OtpParameters{});
}

}  // namespace
}  // namespace watchword::app
