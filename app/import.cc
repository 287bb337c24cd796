#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <boost/json.hpp>

#include "api/policy_document.h"
#include "app/bulk_rows.h"
#include "app/command_audit.h"
#include "app/commands.h"
#include "app/csv.h"
#include "app/progress.h"
#include "engine/bulk_registration.h"
#include "engine/rcu.h"
#include "storage/open.h"

namespace watchword::app {
namespace {

class Import {
 public:
  Import(engine::Store& store, const engine::BulkRegistration::Options& options, engine::UnixMillis now,
         std::uint64_t bytes_total)
      : store_(store), options_(options), bulk_(store, options, now), progress_(bytes_total) {}

  // True: every row is in.
  bool run(std::istream& in) {
    LineReader lines(in);
    const auto first = lines.next();
    if (!first || first->text != csv_header) {
      throw std::runtime_error("this is no file for import: its first line must be " + std::string(csv_header));
    }
    while (const auto line = lines.next()) {
      if (line->text.empty() && !line->cut) continue;
      take(*line);
      progress_.show(rows_, lines.bytes());
    }
    if (in.bad()) throw std::runtime_error("the file cannot be read to its end; run the import again");
    bulk_.finish();
    tell_in_trail(store_, "import",
                  boost::json::serialize(boost::json::object{{"rows", rows_},
                                                             {"devices", bulk_.devices()},
                                                             {"unchanged", unchanged_},
                                                             {"new_users", bulk_.new_users()},
                                                             {"refused", refused_}}));
    progress_.clear();
    tell();
    return refused_ == 0;
  }

 private:
  void take(const LineReader::Line& line) {
    ++rows_;
    if (line.cut) return refuse(line.number, "it is longer than " + std::to_string(LineReader::line_bytes_max) + " bytes");
    auto row = parse_row(line.text);
    if (!row) return refuse(line.number, row.error());
    const bool short_secret = row->secret.size() < recommended_secret_bytes;
    const engine::Answer<engine::Imported> taken = bulk_.add(std::move(*row));
    if (!taken) return refuse(line.number, explain(taken.error(), options_));
    if (*taken == engine::Imported::present) {
      ++unchanged_;
    } else if (short_secret) {
      ++short_secrets_;
    }
  }

  void refuse(std::uint64_t line, const std::string& reason) {
    ++refused_;
    progress_.clear();
    std::fprintf(stderr, "line %llu: %s\n", static_cast<unsigned long long>(line), reason.c_str());
  }

  void tell() const {
    std::fprintf(stderr, "Imported %llu of %llu rows, %llu new users; %llu were there already.\n",
                 static_cast<unsigned long long>(bulk_.devices()), static_cast<unsigned long long>(rows_),
                 static_cast<unsigned long long>(bulk_.new_users()), static_cast<unsigned long long>(unchanged_));
    if (short_secrets_ > 0) {
      std::fprintf(stderr,
                   "%llu secrets have fewer than 20 bytes, which RFC 4226 recommends; register these people anew in time.\n",
                   static_cast<unsigned long long>(short_secrets_));
    }
    if (refused_ > 0) {
      std::fprintf(stderr, "%llu rows were refused, as listed; mend them and import them alone.\n",
                   static_cast<unsigned long long>(refused_));
    }
  }

  static constexpr std::size_t recommended_secret_bytes = 20;

  engine::Store& store_;
  const engine::BulkRegistration::Options options_;
  engine::BulkRegistration bulk_;
  Progress progress_;
  std::uint64_t rows_ = 0;
  std::uint64_t unchanged_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t short_secrets_ = 0;
};

}  // namespace

ImportFile::ImportFile(const std::string& path) : standard_input_(path == "-") {
  if (standard_input_) return;
  std::error_code fault;
  bytes_ = std::filesystem::file_size(path, fault);
  if (fault) bytes_ = 0;
  file_.open(path, std::ios::binary);
  if (!file_) throw std::runtime_error("cannot read " + path);
}

std::istream& ImportFile::stream() const {
  return standard_input_ ? std::cin : file_;
}

int run_import(const Config& config, const ImportOptions& options) {
  const ImportFile file(options.file);
  const engine::RcuThread rcu;
  const auto store = storage::open_rocks_store(config.store);
  const engine::BulkRegistration::Options limits{
      .secret_bytes_min = options.allow_short_secrets ? engine::short_secret_bytes_min : engine::secret_bytes_min,
      .devices_max = api::load_policy(*store, config.policy).max_devices_per_user};
  Import import(*store, limits, engine::wall_now(), file.bytes());
  return import.run(file.stream()) ? 0 : 1;
}

}  // namespace watchword::app
