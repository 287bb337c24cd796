// One request after the other on one connection, waiting for each answer: for what comes before and after a run.
#pragma once

#include <string>
#include <string_view>

#include "bench/load/http_answer.h"
#include "bench/load/options.h"
#include "bench/load/transport.h"

namespace watchword::load {

struct Reply {
  int status = 0;
  std::string body;
};

class ApiClient {
 public:
  ApiClient(const Target& target, SSL_CTX* tls, const std::string& key);
  // Opens the connection anew where the last answer, or an error, ended it. Throws std::runtime_error when no answer comes.
  Reply call(std::string_view method, std::string_view path, std::string_view body = {});

 private:
  void wait(Transport::Step step);
  void connect();

  const Target* target_;
  SSL_CTX* tls_;
  std::string headers_;
  Transport transport_;
  bool open_ = false;
};

}  // namespace watchword::load
