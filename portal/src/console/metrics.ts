// Prometheus text format 0.0.4 and the server's half hour of memory, and what the live page makes of two readings of either.

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

// Lines that are no sample are left out: comments, and whatever a later format may bring.
export function parseMetrics(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!match?.[1] || match[3] === undefined) continue;
    const value = match[3] === "+Inf" ? Infinity : match[3] === "-Inf" ? -Infinity : Number(match[3]);
    samples.push({ name: match[1], labels: parseLabels(match[2] ?? ""), value });
  }
  return samples;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const match of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    labels[match[1] ?? ""] = (match[2] ?? "").replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c));
  }
  return labels;
}

// Cumulative counts by upper bound in seconds, over all samples that `wanted` takes.
export type Buckets = Map<number, number>;

export function bucketsOf(samples: Sample[], name: string, wanted: (labels: Record<string, string>) => boolean): Buckets {
  const buckets: Buckets = new Map();
  for (const { name: sampleName, labels, value } of samples) {
    if (sampleName !== `${name}_bucket` || labels["le"] === undefined || !wanted(labels)) continue;
    const bound = labels["le"] === "+Inf" ? Infinity : Number(labels["le"]);
    buckets.set(bound, (buckets.get(bound) ?? 0) + value);
  }
  return buckets;
}

// The quantile of what came between two readings, in seconds; linear within a bucket, as Prometheus does it. Null where
// nothing came. What lies above the highest bound is told as that bound.
export function quantileBetween(before: Buckets, after: Buckets, quantile: number): number | null {
  const bounds = [...after.keys()].sort((a, b) => a - b);
  const counts = bounds.map((bound) => (after.get(bound) ?? 0) - (before.get(bound) ?? 0));
  const total = counts.at(-1) ?? 0;
  if (total <= 0) return null;
  const rank = quantile * total;
  const at = counts.findIndex((count) => count >= rank);
  const bound = bounds[at] ?? Infinity;
  const below = at > 0 ? (bounds[at - 1] ?? 0) : 0;
  if (bound === Infinity) return below;
  const countBelow = at > 0 ? (counts[at - 1] ?? 0) : 0;
  const within = (counts[at] ?? 0) - countBelow;
  return within > 0 ? below + ((bound - below) * (rank - countBelow)) / within : bound;
}

// What is answered about a code, and the questions that got no decision (503).
export const results = ["accepted", "rejected", "replayed", "locked", "no_device", "failed"] as const;
export type ResultName = (typeof results)[number];
const countedAs: Partial<Record<string, ResultName>> = { unavailable: "failed", overloaded: "failed" };

export interface Reading {
  atMs: number;
  verifications: Map<string, number>; // by result
  latency: Buckets;
  commit: Buckets;
}

function byResult(counts: [string, number][]): Map<string, number> {
  const verifications = new Map<string, number>();
  for (const [told, count] of counts) {
    const result = countedAs[told] ?? told;
    verifications.set(result, (verifications.get(result) ?? 0) + count);
  }
  return verifications;
}

export function readingOf(text: string, atMs: number): Reading {
  const samples = parseMetrics(text);
  const verifications = samples.filter(({ name }) => name === "watchword_verifications_total");
  return {
    atMs,
    verifications: byResult(verifications.map(({ labels, value }) => [labels["result"] ?? "", value])),
    latency: bucketsOf(samples, "watchword_verification_duration_seconds", (labels) => labels["stage"] === "total"),
    commit: bucketsOf(samples, "watchword_commit_duration_seconds", () => true),
  };
}

// GET /console/api/metrics/history. Buckets are not cumulative; the last one is above all bounds.
export interface History {
  server_time: string;
  bounds_s: number[];
  readings: {
    at_ms: number;
    verifications: Record<string, number>;
    verification_duration: number[];
    commit_duration: number[];
  }[];
}

export function readingsOf(history: History): Reading[] {
  const cumulative = (counts: number[]): Buckets => {
    let sum = 0;
    return new Map(counts.map((count, i) => [history.bounds_s[i] ?? Infinity, (sum += count)]));
  };
  return history.readings.map((reading) => ({
    atMs: reading.at_ms,
    verifications: byResult(Object.entries(reading.verifications)),
    latency: cumulative(reading.verification_duration),
    commit: cumulative(reading.commit_duration),
  }));
}

export interface Point {
  atS: number;
  rates: Record<ResultName, number>;
  latencyMs: (number | null)[]; // at `quantiles`
  commitMs: (number | null)[];
}
export const quantiles = [0.5, 0.95, 0.99];

// What happened between each reading and the next. A clock that was set back leaves a gap, not a line that runs backwards.
export function pointsOf(readings: Reading[]): Point[] {
  return readings.slice(1).flatMap((after, i) => {
    const before = readings[i];
    return before && after.atMs > before.atMs ? [pointBetween(before, after)] : [];
  });
}

export function pointBetween(before: Reading, after: Reading): Point {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000);
  const rate = (name: ResultName) =>
    Math.max(0, (after.verifications.get(name) ?? 0) - (before.verifications.get(name) ?? 0)) / seconds;
  const ms = (a: Buckets, b: Buckets) =>
    quantiles.map((quantile) => {
      const value = quantileBetween(a, b, quantile);
      return value === null ? null : value * 1000;
    });
  return {
    atS: after.atMs / 1000,
    rates: Object.fromEntries(results.map((name) => [name, rate(name)])) as Record<ResultName, number>,
    latencyMs: ms(before.latency, after.latency),
    commitMs: ms(before.commit, after.commit),
  };
}
