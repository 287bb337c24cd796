// The engine as the rest of the program holds it: the parts, wired in the order of their lives.
#pragma once

#include "engine/committer.h"
#include "engine/directory.h"
#include "engine/policy_box.h"
#include "engine/registrar.h"
#include "engine/store.h"
#include "engine/verifier.h"

namespace watchword::engine {

struct Engine {
  Engine(Store& store_in, Policy policy_in, const HmacKernel& kernel = best_kernel())
      : store(store_in),
        policy(std::move(policy_in)),
        committer(store),
        verifier(directory, policy, store, kernel),
        registrar(store, committer, directory, policy, kernel) {
    verifier.fence_until(store.fence());
    registrar.fence_until(store.fence());
  }

  Store& store;
  PolicyBox policy;
  Directory directory;
  Committer committer;
  Verifier verifier;
  Registrar registrar;
};

}  // namespace watchword::engine
