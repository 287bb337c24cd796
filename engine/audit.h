// Who did what, for the audit trail. Plain values: whoever changes something puts an entry into its Change, and the entry
// becomes durable with the change or not at all.
#pragma once

#include <string>
#include <string_view>

#include "engine/types.h"

namespace watchword::engine {

// Where a change came from.
struct Origin {
  std::string actor;    // key:<id>, portal:<user>, link:<id>, console:<key id>, cli, system
  std::string address;  // the client's IP address, or empty
  std::string trace;    // the request's trace id, or empty
};

struct AuditEntry {
  UnixMillis at;
  Origin origin;
  std::string action;  // "device.begin", "policy.replace"...: docs/architecture.md lists them
  std::string user;    // whom it is about, or empty
  std::string device;  // DeviceId::text(), or empty
  std::string detail;  // the text of a JSON object, without secrets, or empty
  bool operator==(const AuditEntry& other) const {
    return at == other.at && origin.actor == other.origin.actor && origin.address == other.origin.address &&
           origin.trace == other.origin.trace && action == other.action && user == other.user && device == other.device &&
           detail == other.detail;
  }
};

// An entry whose texts stand elsewhere.
struct AuditNote {
  UnixMillis at;
  std::string_view actor, address, trace, action, user, device, detail;
};
AuditNote note_of(const AuditEntry& entry);
AuditEntry entry_of(const AuditNote& note);

// `text` as a JSON string, quotes included. The engine knows no JSON library, and needs no more of it than this.
std::string json_quoted(std::string_view text);

}  // namespace watchword::engine
