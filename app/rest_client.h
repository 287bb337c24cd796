// Asks a running server over its REST interface, for commands that were given --url. One request a connection; blocks.
#pragma once

#include <string>
#include <string_view>

namespace watchword::app {

struct RestAnswer {
  unsigned status = 0;
  std::string body;
};

class RestClient {
 public:
  // "http://HOST:PORT" or "https://HOST[:PORT]"; the API key is WATCHWORD_API_KEY of the environment. A server's
  // certificate must be one that the system trusts (SSL_CERT_FILE names another file of authorities). Throws
  // std::runtime_error.
  explicit RestClient(const std::string& url);

  // Throws std::runtime_error where there is no answer.
  RestAnswer ask(std::string_view method, std::string_view path, std::string_view json_body = {}) const;

 private:
  bool tls_ = false;
  std::string host_;  // as in the Host field, without the port
  std::string port_;
  std::string key_;
};

// What a problem document says, for stderr; of anything else its status.
std::string explain(const RestAnswer& answer);

}  // namespace watchword::app
