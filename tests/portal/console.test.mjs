// What the console makes of the server's figures and of the policy.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { bucketsOf, parseMetrics, pointBetween, pointsOf, quantileBetween, readingOf, readingsOf } = await load("console/metrics.ts");
const { changedFields, effectOf, fieldsOf, policyFields, valueOf, withValue } = await load("console/policy_fields.ts");
const { query } = await load("console/api.ts");
const { en } = await load("texts/en.ts");

test("Prometheus' text is read, with labels that hold anything", () => {
  const samples = parseMetrics('# HELP x y\n# TYPE x counter\nx_total{a="1",b="q\\"\\\\\\n,}"} 12\ny 1e3\nz{le="+Inf"} +Inf\n\nnonsense\n');
  assert.deepEqual(samples[0], { name: "x_total", labels: { a: "1", b: 'q"\\\n,}' }, value: 12 });
  assert.deepEqual(samples[1], { name: "y", labels: {}, value: 1000 });
  assert.equal(samples[2].value, Infinity);
  assert.equal(samples.length, 3);
});

test("a quantile is of what came between two readings, linear within a bucket", () => {
  const before = new Map([[0.001, 10], [0.01, 10], [Infinity, 10]]);
  const after = new Map([[0.001, 60], [0.01, 110], [Infinity, 110]]);
  assert.equal(quantileBetween(before, after, 0.5), 0.001);
  assert.ok(Math.abs(quantileBetween(before, after, 0.75) - 0.0055) < 1e-9);
  assert.equal(quantileBetween(after, after, 0.5), null, "nothing came");
  assert.equal(quantileBetween(new Map(), new Map([[0.01, 0], [Infinity, 5]]), 0.5), 0.01, "above the last bound: that bound");
});

const text = (accepted, rejected, fast, slow) => `
watchword_verifications_total{result="accepted"} ${accepted}
watchword_verifications_total{result="rejected"} ${rejected}
watchword_verifications_total{result="unavailable"} ${rejected}
watchword_verifications_total{result="overloaded"} ${rejected}
watchword_verification_duration_seconds_bucket{stage="parse",le="0.1"} 99999
watchword_verification_duration_seconds_bucket{stage="total",le="0.001"} ${fast}
watchword_verification_duration_seconds_bucket{stage="total",le="0.01"} ${fast + slow}
watchword_verification_duration_seconds_bucket{stage="total",le="+Inf"} ${fast + slow}
watchword_commit_duration_seconds_bucket{le="0.0005"} ${fast}
watchword_commit_duration_seconds_bucket{le="+Inf"} ${fast}
`;

test("two readings make rates by result and percentiles in milliseconds", () => {
  const point = pointBetween(readingOf(text(100, 10, 100, 0), 10_000), readingOf(text(300, 20, 300, 0), 12_000));
  assert.equal(point.rates.accepted, 100);
  assert.equal(point.rates.rejected, 5);
  assert.equal(point.rates.locked, 0);
  assert.equal(point.rates.failed, 10, "what was answered with 503, whatever the reason");
  assert.ok(Math.abs(point.latencyMs[0] - 0.5) < 1e-9);
  assert.ok(point.commitMs[2] <= 0.5);
  const restarted = pointBetween(readingOf(text(300, 20, 300, 0), 0), readingOf(text(1, 0, 1, 0), 2_000));
  assert.equal(restarted.rates.accepted, 0, "a restart of the server is no negative rate");
});

test("what the server remembers reads as its metrics do, and joins on to them", () => {
  const reading = (at_ms, accepted, failed, fast) => ({
    at_ms,
    verifications: { accepted, unavailable: failed, overloaded: failed },
    verification_duration: [fast, 0, 0],
    commit_duration: [0, fast, 0],
  });
  const history = readingsOf({
    server_time: "2026-01-01T00:00:10Z",
    bounds_s: [0.001, 0.01],
    readings: [reading(0, 100, 1, 100), reading(5_000, 600, 6, 600), reading(4_000, 0, 0, 0), reading(9_000, 100, 0, 10)],
  });
  const [first, after, ...more] = pointsOf(history);
  assert.equal(first.rates.accepted, 100);
  assert.equal(first.rates.failed, 2);
  assert.ok(Math.abs(first.latencyMs[0] - 0.5) < 1e-9);
  assert.ok(Math.abs(first.commitMs[0] - 5.5) < 1e-9);
  assert.deepEqual([after.atS, more.length], [9, 0], "a clock that was set back leaves a gap");
  assert.deepEqual(pointsOf(history.slice(0, 1)), []);
  const joined = pointsOf([history[1], readingOf(text(800, 0, 700, 0), 7_000)]);
  assert.equal(joined[0].rates.accepted, 100);
});

test("the stage that is shown is the whole where it is counted", () => {
  assert.deepEqual(readingOf(text(0, 0, 7, 0), 0).latency.get(Infinity), 7);
  const labels = bucketsOf(parseMetrics(text(0, 0, 7, 1)), "watchword_commit_duration_seconds", () => true);
  assert.deepEqual([...labels], [[0.0005, 7], [Infinity, 7]]);
});

const policy = {
  self_registration: "allowed", max_devices_per_user: 8, no_device_action: "register", prompt: "always", issuer: "Watchword",
  algorithm: "SHA1", digits: 6, period: 30, window_steps: 1, registration_window_steps: 1, max_drift_steps: 10, pending_expires_s: 600,
  lockout: { failures: 10, delay_s_min: 1, delay_s_max: 1800, hard_failures: 100 }, of_a_later_version: "kept",
};

test("a policy's settings are changed one at a time, and what this page does not know is kept", () => {
  const changed = withValue(withValue(policy, "lockout.failures", 5), "digits", 8);
  assert.equal(valueOf(changed, "lockout.failures"), 5);
  assert.equal(changed.lockout.delay_s_max, 1800);
  assert.equal(changed.of_a_later_version, "kept");
  assert.deepEqual(changedFields(policy, changed), ["digits", "lockout.failures"]);
  assert.deepEqual(changedFields(policy, withValue(changed, "digits", 6)), ["lockout.failures"]);
  assert.equal(policy.digits, 6, "the one before is left alone");
});

test("a setting that the server's policy does not have is not offered", () => {
  const names = (of) => fieldsOf(of).map(({ name }) => name);
  assert.equal(names(policy).includes("audit_verifications"), false);
  assert.equal(names({ ...policy, audit_verifications: "none" }).includes("audit_verifications"), true);
  assert.equal(names({ ...policy, issuer: "" }).includes("issuer"), true, "an emptied field stays");
});

test("every setting says what it does at every choice, with nothing left to fill in", () => {
  for (const field of policyFields) {
    for (const value of field.choices ?? [valueOf(policy, field.name)]) {
      const words = effectOf(withValue(policy, field.name, value), field.name, en.console, "en");
      assert.ok(words.length > 10 && !/[{}]|NaN|undefined/.test(words), `${field.name}: ${words}`);
    }
  }
  assert.match(effectOf(policy, "window_steps", en.console, "en"), /90 seconds/);
});

test("a query names what is given, and encodes it", () => {
  assert.equal(query({ user: "a&b=c d", action: "", cursor: undefined, limit: "5" }), "?user=a%26b%3Dc%20d&limit=5");
  assert.equal(query({}), "");
});
