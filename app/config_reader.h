// What reads a table of the configuration file: each key goes to the function that takes it, an unknown one stops the start.
// For the sources of this room alone.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "app/config.h"

namespace watchword::app {

using Take = std::function<void(const toml::node&)>;
using Keys = std::map<std::string, Take>;

class Reader {
 public:
  explicit Reader(std::string file) : file_(std::move(file)) {}

  [[noreturn]] void fail(const toml::node& at, const std::string& what) const {
    throw ConfigError(file_ + ":" + std::to_string(at.source().begin.line) + ": " + what);
  }

  void table(const std::string& path, const toml::node& node, const Keys& keys) const {
    const toml::table* const found = node.as_table();
    if (found == nullptr) fail(node, path + " must be a table");
    for (const auto& [name, value] : *found) {
      const std::string key(name.str());
      const auto known = keys.find(key);
      std::string full = path;
      if (!full.empty()) full += '.';
      full += key;
      if (known == keys.end()) fail(value, "unknown key \"" + full + "\"; allowed here: " + names(keys));
      known->second(value);
    }
  }

  std::string text(const std::string& key, const toml::node& node) const {
    const auto value = node.value_exact<std::string>();
    if (!value) fail(node, key + " must be a text in quotes");
    return *value;
  }

  bool flag(const std::string& key, const toml::node& node) const {
    const auto value = node.value_exact<bool>();
    if (!value) fail(node, key + " must be true or false");
    return *value;
  }

  std::vector<std::string> texts(const std::string& key, const toml::node& node) const {
    const toml::array* const list = node.as_array();
    if (list == nullptr) fail(node, key + " must be a list of texts in quotes");
    std::vector<std::string> all;
    for (const toml::node& one : *list) all.push_back(text(key, one));
    return all;
  }

  // The first line of a file that its owner alone may read.
  std::string secret_file(const std::string& key, const toml::node& node) const {
    const std::filesystem::path path = text(key, node);
    std::error_code error;
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    if ((std::filesystem::status(path, error).permissions() & others) != std::filesystem::perms::none && !error) {
      fail(node, "the file " + path.string() + " of " + key + " must be readable by its owner alone (chmod 600)");
    }
    std::ifstream in(path);
    std::string secret;
    if (!in || !std::getline(in, secret)) fail(node, key + ": cannot read " + path.string());
    return secret;
  }

  template <class Number>
  Number number(const std::string& key, const toml::node& node, std::int64_t least, std::int64_t most) const {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) {
      fail(node, key + " must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return static_cast<Number>(*value);
  }

  template <class Choice>
  Choice choice(const std::string& key, const toml::node& node,
                const std::vector<std::pair<std::string, Choice>>& choices) const {
    const auto value = node.value_exact<std::string>();
    std::string allowed;
    for (const auto& [name, meaning] : choices) {
      if (value && *value == name) return meaning;
      allowed += (allowed.empty() ? "\"" : ", \"") + name + "\"";
    }
    fail(node, key + " must be one of " + allowed);
  }

 private:
  static std::string names(const Keys& keys) {
    std::string all;
    for (const auto& [name, take] : keys) {
      if (!all.empty()) all += ", ";
      all += name;
    }
    return all;
  }
  std::string file_;
};

// config_portal.cc: the table [portal].
void read_portal(const Reader& in, const toml::node& node, Config& config);
// config_oidc.cc: the table [portal.oidc].
void read_oidc(const Reader& in, const toml::node& node, api::OidcOptions& oidc);
// config_outlets.cc: the table [audit] and the tables [[webhooks]].
Keys audit_keys(const Reader& in, Config& config);
void read_webhooks(const Reader& in, const toml::node& node, Config& config);

}  // namespace watchword::app
