#include "api/browser.h"

#include <boost/asio/ip/address.hpp>

#include "api/header_text.h"
#include "api/problem.h"

namespace watchword::api {
namespace {

// Calls visit(part) for each trimmed part between separators.
template <class Visit>
void for_each_part(std::string_view text, char separator, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    visit(trimmed(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// "https://host[:port]" of a URL.
std::string_view origin_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return url;
  return url.substr(0, url.find('/', scheme + 3));
}

bool changes(Method method) {
  return method != Method::get && method != Method::head;
}

Response cross_site() {
  return problem(
      403, "cross_site",
      "The request comes from a page of another site. Behind a proxy, set portal.base_url to the portal's address.");
}

}  // namespace

HeaderField header_field(std::string_view head, std::string_view name) {
  HeaderField field;
  std::size_t at = head.find("\r\n");
  while (at != std::string_view::npos && at + 2 < head.size()) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string_view line = head.substr(begin, at == std::string_view::npos ? at : at - begin);
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!equal_ignoring_case(line.substr(0, name.size()), name)) continue;
    if (field.count++ == 0) field.text = trimmed(line.substr(name.size() + 1));
  }
  return field;
}

std::optional<std::string_view> cookie(std::string_view head, std::string_view name) {
  const HeaderField field = header_field(head, "Cookie");
  if (field.count != 1) return std::nullopt;
  std::optional<std::string_view> value;
  unsigned seen = 0;
  for_each_part(field.text, ';', [&](std::string_view part) {
    if (!part.starts_with(name) || part.size() <= name.size() || part[name.size()] != '=') return;
    ++seen;
    value = part.substr(name.size() + 1);
  });
  return seen == 1 ? value : std::nullopt;
}

bool accepts_encoding(std::string_view head, std::string_view coding) {
  bool accepted = false;
  for_each_part(header_field(head, "Accept-Encoding").text, ',', [&](std::string_view part) {
    const std::size_t end = std::min(part.find(';'), part.size());
    if (!equal_ignoring_case(trimmed(part.substr(0, end)), coding)) return;
    const std::string_view weight = trimmed(part.substr(std::min(end + 1, part.size())));
    accepted = weight.find_first_of("123456789") != std::string_view::npos || !weight.starts_with("q=0");
  });
  return accepted;
}

bool over_tls(const Request& request, std::string_view base_url) {
  return request.browser.tls || base_url.starts_with("https://");
}

bool from_loopback(const Request& request) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(request.browser.peer, error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6()).is_loopback();
  }
  return address.is_loopback();
}

std::optional<Response> refuse_cross_site(const Request& request, std::string_view base_url) {
  const std::string_view head = request.browser.head;
  const HeaderField site = header_field(head, "Sec-Fetch-Site");
  if (site.count > 0) {
    const bool own = site.text == "same-origin" || (site.text == "none" && !changes(request.method));
    if (site.count > 1 || !own) return cross_site();
  }
  const HeaderField origin = header_field(head, "Origin");
  if (!changes(request.method) || origin.count == 0) return std::nullopt;
  const std::string own = base_url.empty()
                              ? (request.browser.tls ? "https://" : "http://") + std::string(header_field(head, "Host").text)
                              : std::string(origin_of(base_url));
  if (origin.count > 1 || !equal_ignoring_case(origin.text, own)) return cross_site();
  return std::nullopt;
}

}  // namespace watchword::api
