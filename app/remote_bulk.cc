// import, export and backup through a running server.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include <boost/json.hpp>

#include "app/bulk_rows.h"
#include "app/commands.h"
#include "app/csv.h"
#include "app/output_file.h"
#include "app/progress.h"
#include "engine/base32.h"

namespace watchword::app {
namespace {

namespace json = boost::json;

constexpr std::size_t piece_bytes = 64 * 1024;
constexpr std::size_t line_bytes_max = 64 * 1024;  // of an export: a row has a few hundred

unsigned long long number(const json::object& object, const char* name) {
  return object.at(name).to_number<std::uint64_t>();
}

json::object parse_object(const std::string& text) {
  json::error_code fault;
  json::value value = json::parse(text, fault);
  if (fault || !value.is_object()) throw std::runtime_error("the server's answer cannot be read");
  return std::move(value.get_object());
}

// The row as the server takes it, with the file's line, under which it names the row where it refuses it.
std::string json_row(std::uint64_t line, const engine::BulkRow& row) {
  return json::serialize(json::object{{"line", line},
                                      {"user", row.user.text()},
                                      {"name", row.name},
                                      {"secret", engine::base32_encode(row.secret.bytes())},
                                      {"algorithm", to_string(row.parameters.algorithm)},
                                      {"digits", row.parameters.digits},
                                      {"period", row.parameters.period_s}}) +
         '\n';
}

void tell_line(std::uint64_t line, const std::string& reason) {
  std::fprintf(stderr, "line %llu: %s\n", static_cast<unsigned long long>(line), reason.c_str());
}

// Reads the file as it is sent.
class RowsOfFile {
 public:
  RowsOfFile(std::istream& in, std::uint64_t bytes_total) : in_(in), lines_(in), progress_(bytes_total) {
    const auto first = lines_.next();
    if (!first || first->text != csv_header) {
      throw std::runtime_error("this is no file for import: its first line must be " + std::string(csv_header));
    }
  }

  bool fill(std::string& piece) {
    while (piece.size() < piece_bytes) {
      const auto line = lines_.next();
      if (!line) {
        if (in_.bad()) throw std::runtime_error("the file cannot be read to its end; run the import again");
        progress_.clear();
        return false;
      }
      if (line->text.empty() && !line->cut) continue;
      ++rows_;
      if (line->cut) {
        refuse(line->number, "it is longer than " + std::to_string(LineReader::line_bytes_max) + " bytes");
      } else if (const auto row = parse_row(line->text)) {
        piece += json_row(line->number, *row);
      } else {
        refuse(line->number, row.error());
      }
      progress_.show(rows_, lines_.bytes());
    }
    return true;
  }

  std::uint64_t rows() const { return rows_; }
  std::uint64_t refused() const { return refused_; }
  void clear_progress() { progress_.clear(); }

 private:
  void refuse(std::uint64_t line, const std::string& reason) {
    ++refused_;
    progress_.clear();
    tell_line(line, reason);
  }

  std::istream& in_;
  LineReader lines_;
  Progress progress_;
  std::uint64_t rows_ = 0;
  std::uint64_t refused_ = 0;
};

int tell_import(const json::object& answer, const RowsOfFile& file) {
  for (const json::value& one : answer.at("refused").as_array()) {
    const json::object& row = one.as_object();
    tell_line(number(row, "line"), std::string(row.at("reason").as_string()));
  }
  std::fprintf(stderr, "Imported %llu of %llu rows, %llu new users; %llu were there already.\n", number(answer, "imported"),
               static_cast<unsigned long long>(file.rows()), number(answer, "new_users"), number(answer, "unchanged"));
  const unsigned long long refused = file.refused() + number(answer, "refused_rows");
  const bool complete = answer.at("complete").as_bool();
  if (!complete) std::fprintf(stderr, "%s\n", answer.at("detail").as_string().c_str());
  if (refused > 0) {
    std::fprintf(stderr, "%llu rows were refused, as listed; mend them and import them alone.\n", refused);
  }
  return complete && refused == 0 ? 0 : 1;
}

// JSON lines, in whatever pieces they come.
class CsvOfExport {
 public:
  explicit CsvOfExport(OutputFile& output) : output_(output), progress_(0, output.on_terminal()) {}

  void take(std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t end = piece.find('\n');
      begun_ += piece.substr(0, end);
      if (begun_.size() > line_bytes_max) throw std::runtime_error("the server's answer cannot be read");
      if (end == std::string_view::npos) return;
      write(parse_object(begun_));
      begun_.clear();
      piece.remove_prefix(end + 1);
    }
  }
  std::uint64_t devices() const { return devices_; }
  void clear_progress() { progress_.clear(); }

 private:
  void write(const json::object& row) {
    const auto text = [&](const char* name) { return std::string(row.at(name).as_string()); };
    output_.line(csv_field(text("user")) + ',' + csv_field(text("name")) + ",," + csv_field(text("algorithm")) + ',' +
                 std::to_string(number(row, "digits")) + ',' + std::to_string(number(row, "period")));
    progress_.show(++devices_, 0);
  }

  OutputFile& output_;
  Progress progress_;
  std::string begun_;
  std::uint64_t devices_ = 0;
};

}  // namespace

int run_remote_import(const RemoteOptions& remote, const ImportOptions& options) {
  const ImportFile file(options.file);
  RowsOfFile rows(file.stream(), file.bytes());
  RemoteServer server(remote);
  const std::string answer =
      server.post_rows(options.allow_short_secrets ? "/v1/import?allow_short_secrets=true" : "/v1/import",
                       [&](std::string& piece) { return rows.fill(piece); });
  rows.clear_progress();
  return tell_import(parse_object(answer), rows);
}

int run_remote_export(const RemoteOptions& remote, const ExportOptions& options) {
  RemoteServer server(remote);
  OutputFile output(options.output);
  output.line(std::string(csv_header));
  CsvOfExport rows(output);
  server.get("/v1/export", [&](std::string_view piece) { rows.take(piece); });
  output.finish();
  rows.clear_progress();
  std::fprintf(stderr, "Exported %llu devices, without their secrets.\n", static_cast<unsigned long long>(rows.devices()));
  return 0;
}

int run_remote_backup(const RemoteOptions& remote) {
  RemoteServer server(remote);
  const json::object made = parse_object(server.post("/v1/backups"));
  std::fprintf(
      stderr,
      "The server made and verified backup %llu (%llu bytes), where its configuration says. The master key is not in it: "
      "keep a copy of that elsewhere.\n",
      number(made, "id"), number(made, "bytes"));
  return 0;
}

}  // namespace watchword::app
