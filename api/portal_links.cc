#include "api/portal_links.h"

#include <exception>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/digest.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

constexpr std::string_view document_prefix = "portal-link/";
constexpr std::int64_t sweep_interval_s = 600;
constexpr std::size_t token_characters = 43;

struct Link {
  std::string id, user, made_by;
  std::int64_t expires_at_s = 0;
};

Link read_document(const std::string& name, const std::string& text) {
  try {
    const json::object document = json::parse(text).as_object();
    return {.id = std::string(document.at("id").as_string()),
            .user = std::string(document.at("user").as_string()),
            .made_by = std::string(document.at("made_by").as_string()),
            .expires_at_s = document.at("expires_at_s").as_int64()};
  } catch (const std::exception& fault) {
    throw engine::StoreError("the portal link in document " + name + " cannot be read: " + fault.what());
  }
}

std::string document_name(std::string_view token) {
  return std::string(document_prefix) + hex(sha256(token));
}

}  // namespace

tl::expected<PortalLinks::Made, PortalLinks::Refusal> PortalLinks::make(const engine::UserName& user,
                                                                        std::int64_t expires_in_s,
                                                                        const engine::Origin& origin,
                                                                        engine::UnixMillis now) {
  sweep(now);
  Made made{.token = random_token(),
            .id = fmt::format("{:016x}", engine::random_nonzero_u64()),
            .expires_at_s = now.seconds() + expires_in_s};
  engine::Change change;
  change.put_documents.emplace_back(document_name(made.token),
                                    json::serialize(json::object{{"id", made.id},
                                                                 {"user", user.text()},
                                                                 {"made_by", origin.actor},
                                                                 {"made_at_s", now.seconds()},
                                                                 {"expires_at_s", made.expires_at_s}}));
  change.audit.push_back({.at = now,
                          .origin = origin,
                          .action = "portal_link.make",
                          .user = user.text(),
                          .device = {},
                          .detail = json::serialize(json::object{{"link", made.id}, {"expires_in_s", expires_in_s}})});
  if (committer_.commit(change) != engine::Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  return made;
}

tl::expected<PortalLinks::Used, PortalLinks::Refusal> PortalLinks::use(std::string_view token, const engine::Origin& origin,
                                                                       engine::UnixMillis now) {
  if (token.size() != token_characters) return tl::unexpected(Refusal::unknown);
  const std::string name = document_name(token);
  const std::lock_guard lock(stripes_[std::hash<std::string>()(name) % stripes_.size()]);
  const std::optional<std::string> text = store_.document(name);
  if (!text) return tl::unexpected(Refusal::unknown);
  const Link link = read_document(name, *text);
  engine::Change change;
  change.erase_documents.push_back(name);
  const bool expired = link.expires_at_s <= now.seconds();
  if (!expired) {
    const std::string detail = json::serialize(json::object{{"link", link.id}, {"made_by", link.made_by}});
    engine::Origin who = origin;
    who.actor = "link:" + link.id;
    change.audit.push_back(
        {.at = now, .origin = who, .action = "portal_link.use", .user = link.user, .device = {}, .detail = detail});
    who.actor = "portal:" + link.user;
    change.audit.push_back(
        {.at = now,
         .origin = who,
         .action = "portal.sign_in",
         .user = link.user,
         .device = {},
         .detail = json::serialize(json::object{{"entry", "link"}, {"link", link.id}, {"made_by", link.made_by}})});
  }
  if (committer_.commit(change) != engine::Outcome::durable) return tl::unexpected(Refusal::store_unavailable);
  if (expired) return tl::unexpected(Refusal::expired);
  return Used{.user = link.user, .id = link.id, .made_by = link.made_by};
}

bool PortalLinks::erase_of(std::string_view user) {
  engine::Change change;
  for (const auto& [name, text] : store_.documents(document_prefix)) {
    if (read_document(name, text).user == user) change.erase_documents.push_back(name);
  }
  return change.erase_documents.empty() || committer_.commit(change) == engine::Outcome::durable;
}

void PortalLinks::sweep(engine::UnixMillis now) {
  std::int64_t swept = swept_at_s_.load(std::memory_order_relaxed);
  // Whoever moves the time sweeps; relaxed, since it only spreads the work.
  if (now.seconds() - swept < sweep_interval_s ||
      !swept_at_s_.compare_exchange_strong(swept, now.seconds(), std::memory_order_relaxed)) {
    return;
  }
  engine::Change change;
  for (const auto& [name, text] : store_.documents(document_prefix)) {
    if (read_document(name, text).expires_at_s <= now.seconds()) change.erase_documents.push_back(name);
  }
  if (!change.erase_documents.empty()) committer_.commit(change);
}

}  // namespace watchword::api
