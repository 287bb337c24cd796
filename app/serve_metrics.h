// What `watchword serve` exposes beside what the HTTP side counts: engine, store, clock, process, build.
#pragma once

#include "api/access_keys.h"
#include "engine/engine.h"
#include "metrics/counters.h"
#include "metrics/exposition.h"

namespace watchword::app {

// Group commits. Written by the committer's thread.
class CommitMetrics final : public engine::GroupWatcher {
 public:
  void committed(const engine::GroupReport& group) noexcept override;
  void collect(metrics::Collected& into) const;

 private:
  metrics::DurationHistogram duration_;
  metrics::SizeHistogram cells_;
  metrics::Counter changes_;
  metrics::Counter failed_;
};

// Both live as long as the exposition is scraped; before the server starts.
void expose_engine(metrics::Exposition& exposition, engine::Engine& engine);
void expose_access_keys(metrics::Exposition& exposition, const api::AccessKeys& keys);
void expose_build(metrics::Exposition& exposition, const std::string& kernel);

}  // namespace watchword::app
