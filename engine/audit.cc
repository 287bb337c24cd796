#include "engine/audit.h"

namespace watchword::engine {

AuditNote note_of(const AuditEntry& entry) {
  return {.at = entry.at,
          .actor = entry.origin.actor,
          .address = entry.origin.address,
          .trace = entry.origin.trace,
          .action = entry.action,
          .user = entry.user,
          .device = entry.device,
          .detail = entry.detail};
}

AuditEntry entry_of(const AuditNote& note) {
  return {
      .at = note.at,
      .origin = {.actor = std::string(note.actor), .address = std::string(note.address), .trace = std::string(note.trace)},
      .action = std::string(note.action),
      .user = std::string(note.user),
      .device = std::string(note.device),
      .detail = std::string(note.detail)};
}

std::string json_quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20) {
      quoted += "\\u00";
      quoted += "0123456789abcdef"[byte >> 4];
      quoted += "0123456789abcdef"[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace watchword::engine
