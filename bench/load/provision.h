// Before and after a run: who takes part, made through the API and taken away again.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "bench/load/options.h"
#include "bench/load/requests.h"
#include "bench/load/users.h"

namespace watchword::load {

// Registers and confirms that many people, many at a time; each confirmation takes the code of the step before the present
// one. Their names begin with "load-" and `run`. `done` counts them. Throws std::runtime_error that says what to do.
std::vector<User> provision(const Options& options, const Target& target, SSL_CTX* tls, const std::string& run,
                            std::atomic<std::size_t>& done);
// Those people, and the ones that the run itself registered, with all their devices. Returns how many were removed.
std::size_t remove_users(const Options& options, const Target& target, SSL_CTX* tls, const std::string& run);

// What the key may read of it; the defaults otherwise. Throws where the server does not answer or does not know the key.
ServerPolicy read_policy(const Options& options, const Target& target, SSL_CTX* tls);

}  // namespace watchword::load
