// What a browser says beside its request: cookies, where the request comes from, what it can read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/message.h"

namespace watchword::api {

struct HeaderField {
  std::string_view text;  // of the first one
  unsigned count = 0;
};
// Field of a head as it was sent (parse_head() found it good); names in any case.
HeaderField header_field(std::string_view head, std::string_view name);
// nullopt: absent, or given twice, which no browser does.
std::optional<std::string_view> cookie(std::string_view head, std::string_view name);
// Whether the Accept-Encoding of `head` takes `coding`.
bool accepts_encoding(std::string_view head, std::string_view coding);

// Whether the answer travels where nobody listens: TLS here or, by the configured address, at a proxy in front.
bool over_tls(const Request& request, std::string_view base_url);
bool from_loopback(const Request& request);
// A refusal if the request was made by another site's page: by Sec-Fetch-Site, and Origin where one is sent.
std::optional<Response> refuse_cross_site(const Request& request, std::string_view base_url);

}  // namespace watchword::api
