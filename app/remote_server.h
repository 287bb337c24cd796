// A running server, asked over HTTP or HTTPS with an API key. Blocks; for commands.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace watchword::app {

struct RemoteOptions {
  std::string url;      // http://HOST[:PORT] or https://HOST[:PORT], with a path where a proxy puts the server under one
  std::string api_key;  // sent to nobody but that server
  std::string ca_file;  // PEM: who signed the server's certificate; empty: whom the system trusts
};

// Throws std::runtime_error where RemoteOptions::url cannot be that text.
void check_server_url(const std::string& text);

class RemoteServer {
 public:
  // Connects. Throws std::runtime_error, like every call, with words for people.
  explicit RemoteServer(RemoteOptions options);
  ~RemoteServer();

  // Appends the next piece of the body; false: that was the last.
  using Fill = std::function<bool(std::string& piece)>;
  using Take = std::function<void(std::string_view piece)>;

  // The body of a 2xx answer; another one is an exception that says what the server said.
  std::string post(const std::string& path, std::string_view json_body = {});
  // Sends a body of any length, once the server has said that it wants one.
  std::string post_rows(const std::string& path, const Fill& fill);
  void get(const std::string& path, const Take& take);

 private:
  struct Stream;
  std::string head(std::string_view method, const std::string& path, std::string_view fields) const;
  std::string read_answer();

  const RemoteOptions options_;
  std::string host_;  // as in the URL, with its port
  std::string base_path_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace watchword::app
