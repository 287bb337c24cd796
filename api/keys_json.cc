#include "api/keys_json.h"

#include <boost/json.hpp>

#include "api/admin_json.h"

namespace watchword::api {
namespace {

namespace json = boost::json;

json::value or_null(const std::string& text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

}  // namespace

json::object keys_object(const engine::KeysReport& keys) {
  json::array data_keys;
  for (const engine::DataKeyReport& key : keys.data_keys) {
    data_keys.push_back(json::object{
        {"version", key.version},
        {"made_at", key.made_at_s > 0 ? json::value(utc_text(key.made_at_s)) : json::value(nullptr)},
        {"seals", &key == &keys.data_keys.back()},
    });
  }
  return {{"data_keys", std::move(data_keys)},
          {"master_key", keys.master_key},
          {"next_master_key", or_null(keys.next_master_key)},
          {"resealing", keys.resealing},
          {"rows_done", keys.rows_done},
          {"rows_estimated", keys.rows_estimated},
          {"rows_unreadable", keys.rows_unreadable}};
}

std::string rotation_detail(const engine::KeysReport& keys, const engine::RotationRequest& request) {
  if (!request.new_master_key_file.empty()) {
    return json::serialize(json::object{{"key", "master"}, {"old_fingerprint", keys.master_key}});
  }
  const std::uint32_t version = keys.data_keys.empty() ? 0 : keys.data_keys.back().version;
  return json::serialize(json::object{{"key", "data"}, {"version", version + 1}});
}

}  // namespace watchword::api
