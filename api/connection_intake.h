// A request whose body is taken in pieces: an import of any length. Bounded: what a worker has, and what came meanwhile;
// beyond that the socket is not read, and the client waits. Part of Connection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/connection.h"
#include "api/import_rows.h"
#include "api/request_parser.h"

namespace watchword::api {

struct Connection::Intake {
  static constexpr std::size_t waiting_bytes_max = 256 * 1024;

  bool has_room() const { return !complete && !fault && waiting.size() < waiting_bytes_max; }

  Exchange& exchange;                   // where the answer goes
  std::unique_ptr<ImportRows> rows;     // null: with a worker
  std::unique_ptr<ChunkedBody> chunks;  // null: the length is known
  std::uint64_t bytes_left = 0;         // then
  std::string waiting;                  // for the worker
  bool complete = false;                // the client has sent all
  std::optional<Response> fault;        // the answer, once the worker is back
};

}  // namespace watchword::api
