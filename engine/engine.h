// The engine as the rest of the program holds it: the parts, wired in the order of their lives.
#pragma once

#include "engine/committer.h"
#include "engine/directory.h"
#include "engine/memory_cap.h"
#include "engine/policy_box.h"
#include "engine/registrar.h"
#include "engine/store.h"
#include "engine/user_stripes.h"
#include "engine/verifier.h"

namespace watchword::engine {

struct Engine {
  // `resident_bytes_max`: of the users in memory; 0: no limit.
  Engine(Store& store_in, Policy policy_in, const HmacKernel& kernel = best_kernel(), std::size_t resident_bytes_max = 0)
      : store(store_in),
        policy(std::move(policy_in)),
        committer(store),
        verifier(directory, policy, store, kernel),
        memory(directory, committer, stripes, resident_bytes_max),
        registrar(store, committer, directory, stripes, memory, policy, kernel) {
    verifier.fence_until(store.fence());
    registrar.fence_until(store.fence());
  }

  Store& store;
  PolicyBox policy;
  Directory directory;
  UserStripes stripes;
  Committer committer;
  Verifier verifier;
  MemoryCap memory;
  Registrar registrar;
};

}  // namespace watchword::engine
