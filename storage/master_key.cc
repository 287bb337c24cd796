#include "storage/master_key.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <thread>

#include "storage/aead.h"
#include "storage/files.h"

namespace watchword::storage {
namespace {

constexpr const char* credential_name = "master.key";

std::string to_hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<engine::SecretBytes> from_hex(std::string_view text) {
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (text.size() != 2 * aead_key_bytes) return std::nullopt;
  std::vector<std::uint8_t> bytes;
  bytes.reserve(aead_key_bytes);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) {
      OPENSSL_cleanse(bytes.data(), bytes.size());
      return std::nullopt;
    }
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return engine::SecretBytes(std::move(bytes));
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

void write_key(const std::filesystem::path& file, const engine::SecretBytes& key) {
  std::string text = to_hex(key.bytes()) + "\n";
  write_file_durably(file, text);
  wipe(text);
}

// What a program says on its standard output, while it runs in a process group of its own; ended with it.
class Child {
 public:
  explicit Child(const std::vector<std::string>& argv) : name_(argv.front()) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("cannot be started", errno);
    out_ = ends[0];
    std::vector<char*> words;
    words.reserve(argv.size() + 1);
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (const int signal : {SIGPIPE, SIGTERM, SIGINT, SIGHUP}) sigaddset(&usual, signal);
    posix_spawnattr_setsigmask(&attributes, &none);  // a server blocks and ignores signals, which would be handed down
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int fault = posix_spawnp(&process_, words[0], &files, &attributes, words.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (fault != 0) {
      close(out_);
      fail("cannot be started", fault);
    }
  }
  ~Child() {
    close(out_);
    if (process_ > 0) {
      kill(-process_, SIGKILL);
      while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    wipe(said_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Throws OpenError unless it ends well, in time, having said no more than it may.
  const std::string& listen(std::chrono::steady_clock::time_point deadline) {
    said_.reserve(master_key_command_bytes_max);  // so that no copy of the key is left where a string grew
    char buffer[512];
    for (;;) {
      pollfd ready{.fd = out_, .events = POLLIN, .revents = 0};
      const int got = poll(&ready, 1, left_ms(deadline));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail("said nothing in time");
      const ssize_t bytes = read(out_, buffer, sizeof buffer);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes < 0) fail("cannot be read", errno);
      if (bytes == 0) break;
      if (said_.size() + static_cast<std::size_t>(bytes) > master_key_command_bytes_max) fail("says more than a key");
      said_.append(buffer, static_cast<std::size_t>(bytes));
      OPENSSL_cleanse(buffer, sizeof buffer);
    }
    await_end(deadline);
    return said_;
  }

 private:
  [[noreturn]] void fail(const std::string& what, int error = 0) const {
    throw OpenError("the command for the master key, " + name_ + ", " + what +
                    (error != 0 ? std::string(": ") + std::strerror(error) : ""));
  }
  static int left_ms(std::chrono::steady_clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return left.count() > 0 ? static_cast<int>(left.count()) : 0;
  }
  // Having closed its output, it is about to end.
  void await_end(std::chrono::steady_clock::time_point deadline) {
    int status = 0;
    for (;;) {
      const pid_t ended = waitpid(process_, &status, WNOHANG);
      if (ended == process_) break;
      if (ended < 0 && errno != EINTR) fail("cannot be waited for", errno);
      if (left_ms(deadline) == 0) fail("did not end in time");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    process_ = -1;
    if (WIFSIGNALED(status)) fail("was ended by signal " + std::to_string(WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) fail("failed with exit code " + std::to_string(WEXITSTATUS(status)));
  }

  const std::string name_;
  int out_ = -1;
  pid_t process_ = -1;
  std::string said_;
};

}  // namespace

std::optional<std::filesystem::path> master_key_file(const RocksStoreOptions& options) {
  if (!options.master_key_command.empty()) return std::nullopt;
  if (!options.master_key_file.empty()) return options.master_key_file;
  if (const char* const credentials = std::getenv("CREDENTIALS_DIRECTORY"); credentials != nullptr && *credentials == '/') {
    std::error_code error;
    std::filesystem::path file = std::filesystem::path(credentials) / credential_name;
    if (std::filesystem::exists(file, error)) return file;
    // Another key in its place would open nothing, or, at init, seal everything under a key that nobody meant.
    if (error) throw OpenError("the credential " + file.string() + " cannot be looked at: " + error.message());
  }
  return options.data_dir / "master.key";
}

void ensure_master_key(const RocksStoreOptions& options) {
  const std::optional<std::filesystem::path> file = master_key_file(options);
  if (file && !std::filesystem::exists(*file)) write_key(*file, engine::SecretBytes::random(aead_key_bytes));
  read_master_key(options);
}

engine::SecretBytes read_master_key(const RocksStoreOptions& options) {
  const std::optional<std::filesystem::path> file = master_key_file(options);
  return file ? read_master_key_file(*file) : ask_for_master_key(options.master_key_command);
}

engine::SecretBytes read_master_key_file(const std::filesystem::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) {
    throw OpenError("the master key file " + file.string() + " is missing; without it no secret can be opened");
  }
  if (!S_ISREG(status.st_mode)) throw OpenError("the master key file " + file.string() + " is no regular file");
  if ((status.st_mode & 077) != 0) {
    throw OpenError("the master key file " + file.string() + " can be read by others; run: chmod 600 " + file.string());
  }
  std::string text = read_file(file).value_or("");
  std::optional<engine::SecretBytes> key = from_hex(text);
  wipe(text);
  if (!key) throw OpenError("the master key file " + file.string() + " does not hold 64 hexadecimal digits");
  return std::move(*key);
}

engine::SecretBytes ask_for_master_key(const std::vector<std::string>& argv, std::chrono::milliseconds timeout) {
  Child child(argv);
  std::optional<engine::SecretBytes> key = from_hex(child.listen(std::chrono::steady_clock::now() + timeout));
  if (!key) throw OpenError("the command for the master key, " + argv.front() + ", does not say 64 hexadecimal digits");
  return std::move(*key);
}

void replace_master_key_file(const std::filesystem::path& file, const engine::SecretBytes& key) {
  write_key(file.string() + ".old", read_master_key_file(file));
  write_key(file, key);
}

std::string fingerprint(const engine::SecretBytes& master_key) {
  constexpr std::string_view purpose = "watchword master key fingerprint";
  constexpr std::size_t shown_bytes = 8;
  std::uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  if (HMAC(EVP_sha256(), master_key.data(), static_cast<int>(master_key.size()),
           reinterpret_cast<const std::uint8_t*>(purpose.data()), purpose.size(), digest, &bytes) == nullptr) {
    throw std::runtime_error("HMAC failed");
  }
  return to_hex({digest, shown_bytes});
}

}  // namespace watchword::storage
