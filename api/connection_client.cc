// Who a Connection's client is: where it calls from, what it presents, what that is worth.
#include "api/connection.h"
#include "api/digest.h"
#include "api/event_loop.h"
#include "api/header_text.h"

namespace watchword::api {

// Unspecified where the client is gone already: in no network.
boost::asio::ip::address Connection::peer() const {
  return socket_.peer();
}

std::string_view Connection::peer_address() {
  if (peer_address_.view().empty()) {
    const boost::asio::ip::address address = peer();
    if (!address.is_unspecified()) peer_address_.append(address.to_string());
  }
  return peer_address_.view();
}

engine::Origin Connection::origin_of(std::string actor, const RequestHead& head) const {
  const boost::asio::ip::address address = peer();
  return {.actor = std::move(actor),
          .address = address.is_unspecified() ? std::string() : address.to_string(),
          .trace = std::string(head.trace)};
}

const CertifiedClient* Connection::certified_client() {
  return tls_ ? tls_->client() : nullptr;
}

BrowserSide Connection::browser_side(const RequestHead& head) {
  const CertifiedClient* const client = certified_client();
  return {.head = std::string(head.block),
          .peer = peer().to_string(),
          .certificate = client != nullptr ? client->name : std::string(),
          .tls = tls_ != nullptr};
}

// The API key, or the certificate that stood for one.
std::string Connection::caller_name(std::uint64_t key_id, const RequestHead& head) {
  const CertifiedClient* const client = head.authorization.empty() ? certified_client() : nullptr;
  return client != nullptr ? "certificate:" + client->name : "key:" + engine::DeviceId{key_id}.text();
}

tl::expected<AccessKeys::Granted, AccessKeys::Denied> Connection::authenticate(const RequestHead& head,
                                                                               engine::UnixMillis now) {
  const std::string_view authorization = head.authorization;
  if (authorization.empty()) {
    const CertifiedClient* const client = certified_client();
    if (client == nullptr || client->granted.scopes == 0) return tl::unexpected(AccessKeys::Denied{});
    return client->granted;
  }
  AccessKeys& keys = loop_.services().keys;
  const std::uint64_t generation = keys.generation();  // before the look, so that a change after it is noticed
  // The familiar head's were compared as a part of it.
  const bool familiar = familiar_.gave(head);
  if (granted_generation_ == generation && granted_.valid_at(now) &&
      ((familiar && familiar_granted_) || equal_in_constant_time({presented_.data(), presented_bytes_}, authorization))) {
    familiar_granted_ = familiar;
    return granted_;
  }
  familiar_granted_ = false;
  const auto granted = keys.authenticate(bearer_key(authorization), peer(), now);
  if (granted && authorization.size() <= presented_.size()) {
    authorization.copy(presented_.data(), authorization.size());
    presented_bytes_ = authorization.size();
    granted_ = *granted;
    granted_generation_ = generation;
  }
  return granted;
}

// Whose key it is, where it is somebody's.
void Connection::note_refusal(const RequestHead& head, const AccessKeys::Denied& denied) {
  const unsigned status = denied.reason == AccessKeys::Denied::Reason::wrong_address ? 403 : 401;
  const std::string actor = denied.id != 0 ? "key:" + engine::DeviceId{denied.id}.text() : "nobody";
  loop_.services().audit_queue.refused(origin_of(actor, head), status, head.method, head.target, engine::wall_now());
}

}  // namespace watchword::api
