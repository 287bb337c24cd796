#include "api/trail_syslog.h"

#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "api/audit_json.h"
#include "api/log.h"

namespace watchword::api {
namespace {

constexpr int wait_ms_max = 5000;
constexpr unsigned facility_audit = 13, severity_warning = 4, severity_notice = 5;

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "-";
  return name.data();
}

bool refusal(const engine::AuditEntry& entry) {
  return entry.action == "request.refused" || entry.action == "user.lock" ||
         entry.detail.find(R"("result":"rejected")") != std::string::npos;
}

}  // namespace

std::optional<SyslogTarget> SyslogTarget::parse(std::string_view text) {
  SyslogTarget target;
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    if (text.starts_with("//")) text.remove_prefix(2);
    if (!text.starts_with('/') || text.size() >= sizeof(sockaddr_un::sun_path)) return std::nullopt;
    target.transport = Transport::unix_datagram;
    target.host = text;
    return target;
  }
  if (text.starts_with("tcp://")) {
    target.transport = Transport::tcp;
  } else if (!text.starts_with("udp://")) {
    return std::nullopt;
  }
  text.remove_prefix(6);
  target.port = target.transport == Transport::tcp ? "601" : "514";
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    target.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    target.host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (target.host.empty() || target.host.find_first_of("/?#@ ") != std::string::npos) return std::nullopt;
  if (!rest.empty()) {
    unsigned port = 0;
    const auto [stop, fault] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), port);
    if (rest[0] != ':' || fault != std::errc{} || stop != rest.data() + rest.size() || port == 0 || port > 65535) {
      return std::nullopt;
    }
    target.port = std::to_string(port);
  }
  return target;
}

std::string syslog_message(const engine::AuditRow& row, const std::string& host) {
  const unsigned severity = refusal(row.entry) ? severity_warning : severity_notice;
  return fmt::format("<{}>1 {} {} watchword {} {} - {}", facility_audit * 8 + severity, utc_text_ms(row.entry.at), host,
                     getpid(), row.entry.action.empty() ? "-" : row.entry.action, boost::json::serialize(audit_object(row)));
}

TrailSyslog::TrailSyslog(SyslogTarget target)
    : target_(std::move(target)), host_(host_name()), cancelled_(eventfd(0, EFD_CLOEXEC)) {
  if (cancelled_ < 0) throw_errno("eventfd");
}

TrailSyslog::~TrailSyslog() {
  if (socket_ >= 0) close(socket_);
  close(cancelled_);
}

void TrailSyslog::cancel() noexcept {
  eventfd_write(cancelled_, 1);
}

void TrailSyslog::await(short events) {
  pollfd wanted[] = {{socket_, events, 0}, {cancelled_, POLLIN, 0}};
  const int ready = poll(wanted, 2, wait_ms_max);
  if (ready < 0) throw_errno("poll");
  if (ready == 0) throw std::runtime_error("the syslog server takes nothing");
  if (wanted[1].revents != 0) throw std::runtime_error("the server stops");
}

void TrailSyslog::connect() {
  if (target_.transport == SyslogTarget::Transport::unix_datagram) {
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    target_.host.copy(address.sun_path, sizeof address.sun_path - 1);
    if (socket_ < 0 || ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw_errno("cannot connect");
    }
    return;
  }
  const bool tcp = target_.transport == SyslogTarget::Transport::tcp;
  addrinfo hints{};
  hints.ai_socktype = tcp ? SOCK_STREAM : SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int fault = getaddrinfo(target_.host.c_str(), target_.port.c_str(), &hints, &found); fault != 0) {
    throw std::runtime_error(std::string("the name does not resolve: ") + gai_strerror(fault));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, freeaddrinfo);
  int fault = EADDRNOTAVAIL;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (socket_ >= 0) close(std::exchange(socket_, -1));
    socket_ = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (socket_ < 0) continue;
    if (::connect(socket_, at->ai_addr, at->ai_addrlen) == 0) return;
    fault = errno;
    if (fault != EINPROGRESS) continue;
    await(POLLOUT);
    socklen_t size = sizeof fault;
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &fault, &size);
    if (fault == 0) return;
  }
  errno = fault;
  throw_errno("cannot connect");
}

void TrailSyslog::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      await(POLLOUT);
    } else if (errno != EINTR) {
      throw_errno("cannot send");
    }
  }
}

// What no datagram holds goes without its detail, which the trail itself has.
void TrailSyslog::send_datagram(const engine::AuditRow& row) {
  try {
    send(syslog_message(row, host_));
  } catch (const std::system_error& fault) {
    if (fault.code() != std::errc::message_size) throw;
    engine::AuditRow cut = row;
    cut.entry.detail = R"({"cut":true})";
    send(syslog_message(cut, host_));
  }
}

// Nothing comes from a syslog server but the end of the connection.
void TrailSyslog::await_acknowledged() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms_max);
  for (int waiting = 1; waiting > 0;) {
    char byte = 0;
    const ssize_t got = recv(socket_, &byte, 1, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) throw std::runtime_error("the connection was closed");
    if (ioctl(socket_, SIOCOUTQ, &waiting) != 0) throw_errno("SIOCOUTQ");
    if (waiting == 0) break;
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the syslog server takes nothing");
    pollfd cancelled{cancelled_, POLLIN, 0};
    if (poll(&cancelled, 1, 1) > 0) throw std::runtime_error("the server stops");
  }
}

Delivery TrailSyslog::deliver(std::span<const engine::AuditRow> rows, unsigned attempt) {
  const bool tcp = target_.transport == SyslogTarget::Transport::tcp;
  std::size_t taken = 0;
  try {
    if (socket_ >= 0 && tcp) await_acknowledged();  // a server that went meanwhile shows here
  } catch (const std::exception&) {
    close(std::exchange(socket_, -1));
  }
  try {
    if (socket_ < 0) connect();
    for (const engine::AuditRow& row : rows) {
      if (tcp) {
        const std::string message = syslog_message(row, host_);
        send(std::to_string(message.size()) + " " + message);
      } else {
        send_datagram(row);
        ++taken;
      }
    }
    if (tcp) await_acknowledged();
    if (attempt > 1) log(Level::info, "the audit stream goes on", {{"syslog", target_.host}});
    return {.taken = rows.size()};
  } catch (const std::exception& fault) {
    if (socket_ >= 0) close(std::exchange(socket_, -1));
    log(Level::error, "the audit stream stands still", {{"syslog", target_.host}, {"reason", std::string(fault.what())}});
    return {.taken = taken, .rest = Delivery::Rest::holds};
  }
}

}  // namespace watchword::api
