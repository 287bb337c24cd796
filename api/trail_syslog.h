// The audit trail to a syslog server: RFC 5424 messages whose text is the entry as JSON, over UDP (RFC 5426, one datagram a
// message), TCP (octet counting, RFC 6587) or a datagram socket such as /dev/log. Facility 13 (log audit); severity notice,
// warning for what was refused.
//
// Over TCP an entry counts as taken once the other side's kernel has acknowledged it; the protocol has no better
// acknowledgement. Over UDP nothing is acknowledged: what is lost on the way is lost. A relay on this host, reached over TCP
// or its socket, is the safe way.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/trail_receiver.h"

namespace watchword::api {

struct SyslogTarget {
  enum class Transport : std::uint8_t { udp, tcp, unix_datagram };
  Transport transport = Transport::udp;
  std::string host;  // or the socket's path
  std::string port;
  // "udp://host:port", "tcp://host:port", "tcp://[::1]:601", "unix:/dev/log"; the port may be left out: 514 and 601.
  static std::optional<SyslogTarget> parse(std::string_view text);
};

// One message, without what frames it. `host`: of this machine.
std::string syslog_message(const engine::AuditRow& row, const std::string& host);

class TrailSyslog final : public TrailReceiver {
 public:
  explicit TrailSyslog(SyslogTarget target);
  ~TrailSyslog() override;

  std::size_t batch_max() const override { return 64; }
  Delivery deliver(std::span<const engine::AuditRow> rows, unsigned attempt) override;
  void cancel() noexcept override;

 private:
  void connect();
  void send(std::string_view bytes);
  void send_datagram(const engine::AuditRow& row);
  void await_acknowledged();
  void await(short events);

  const SyslogTarget target_;
  const std::string host_;
  const int cancelled_;  // eventfd
  int socket_ = -1;
};

}  // namespace watchword::api
