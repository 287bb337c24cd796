#include "app/doctor.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/commands.h"

namespace watchword::app {
namespace {

const char* name_of(Health health) {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::warn:
      return "warn";
    case Health::fail:
      break;
  }
  return "fail";
}

Health worst(const Findings& findings) {
  Health health = Health::ok;
  for (const Finding& one : findings) health = std::max(health, one.health);
  return health;
}

void print_json(const Findings& findings) {
  boost::json::array checks;
  for (const Finding& one : findings) {
    boost::json::object check{{"check", one.check}, {"health", name_of(one.health)}, {"found", one.found}};
    if (!one.advice.empty()) check["advice"] = one.advice;
    checks.push_back(std::move(check));
  }
  const boost::json::object document{{"health", name_of(worst(findings))}, {"checks", std::move(checks)}};
  std::printf("%s\n", boost::json::serialize(document).c_str());
}

void print_text(const Findings& findings) {
  for (const Finding& one : findings) {
    std::printf("%s\n", fmt::format("{:4}  {:15}  {}", name_of(one.health), one.check, one.found).c_str());
    if (!one.advice.empty()) std::printf("%s\n", fmt::format("{:23}-> {}", "", one.advice).c_str());
  }
}

}  // namespace

int run_doctor(const std::function<Config()>& configure, bool json) {
  Findings findings;
  const auto add = [&findings](Findings more) {
    for (Finding& one : more) findings.push_back(std::move(one));
  };
  try {
    const Config config = configure();
    add({{.check = "configuration", .health = Health::ok, .found = "every setting is understood", .advice = {}}});
    add(check_data_dir(config.store));
    add(check_master_key(config.store));
    const storage::Inspection inspection = storage::inspect(config.store);
    add(check_store(config.store, inspection));
    add(check_backup(config.store));
    add(check_clock(config.store));
    add(check_disk(config.store));
    add(check_certificates(config));
    add(check_limits(config, inspection.process));
  } catch (const ConfigError& fault) {
    add({{.check = "configuration", .health = Health::fail, .found = fault.what(), .advice = "mend that line"}});
  }
  json ? print_json(findings) : print_text(findings);
  if (worst(findings) != Health::fail) return 0;
  std::fprintf(stderr, "watchword: not all is well; each check that failed says what to do\n");
  return 1;
}

}  // namespace watchword::app
