// Logic that both pages share.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { codeDigits, inFours, recoveryText } = await load("shared/codes.ts");
const { ServerClock, secondsLeft } = await load("shared/clock.ts");
const { ago, dateTime, duration, localeOf } = await load("shared/times.ts");
const { readProblem } = await load("shared/http.ts");
const { parseRoute, hrefOf } = await load("shared/route.ts");
const { readQr, decoyQr } = await load("shared/qr.ts");
const { fill } = await load("shared/language.ts");
const { en } = await load("texts/en.ts");
const { de } = await load("texts/de.ts");

test("a typed or pasted code keeps its digits and nothing else", () => {
  for (const text of ["123456", " 123 456 ", "123-456", "123\u00a0456\n", "１２３４５６", "12345678"]) {
    assert.equal(codeDigits(text, 6), "123456", text);
  }
  assert.equal(codeDigits("abc", 6), "");
  assert.equal(codeDigits("1234567890", 8), "12345678");
});

test("a key is shown in fours", () => {
  assert.equal(inFours("JBSWY3DPEHPK3PXP"), "JBSW Y3DP EHPK 3PXP");
  assert.equal(inFours("ABCDE"), "ABCD E");
  assert.equal(inFours(""), "");
});

test("a recovery code keeps its letters and dashes", () => {
  assert.equal(recoveryText(" CDFH-JKMN -PQRT-VWXY\n"), "CDFH-JKMN-PQRT-VWXY");
});

test("the server's clock is half a second past what it told, when the answer took no time", () => {
  const clock = new ServerClock();
  const now = Date.now();
  clock.learn(new Date(Math.floor(now / 1000) * 1000 + 60_000).toISOString().replace(/\.\d+/, ""), now, now);
  assert.ok(Math.abs(clock.now() - (now + 60_000)) <= 550);
  clock.learn("no time", now, now);
  assert.ok(Math.abs(clock.now() - (now + 60_000)) <= 600, "what is no time is not learned");
});

test("the seconds of a code go from the period down to one", () => {
  assert.equal(secondsLeft(0, 30), 30);
  assert.equal(secondsLeft(999, 30), 30);
  assert.equal(secondsLeft(29_000, 30), 1);
  assert.equal(secondsLeft(30_000, 30), 30);
  assert.equal(secondsLeft(59_500, 60), 1);
});

test("durations are rounded to what matters, and never to nothing", () => {
  assert.equal(duration(0, "en"), "1 second");
  assert.equal(duration(-120, "en"), "2 minutes");
  assert.equal(duration(89, "en"), "89 seconds");
  assert.equal(duration(3_600, "en"), "1 hour");
  assert.equal(duration(4_500, "en"), "75 minutes");
  assert.equal(duration(7_200, "en"), "2 hours");
  assert.equal(duration(200_000, "de"), "2 Tage");
});

test("times are relative where they are near, and what is no time is shown as it is", () => {
  const now = Date.parse("2026-11-25T12:00:00Z");
  assert.equal(ago("2026-11-25T11:57:00Z", now, "en"), "3 minutes ago");
  assert.equal(ago("2026-11-24T12:00:00Z", now, "en"), "yesterday");
  assert.equal(ago("2026-11-25T11:59:40Z", now, "en"), "now");
  assert.equal(dateTime("soon", "en"), "soon");
  assert.equal(localeOf("de"), "de");
});

test("a problem document is read, and what is none is a problem too", () => {
  const problem = readProblem(403, '{"type":"urn:watchword:problem:code_needed","detail":"Give a code.","field":"code"}', null);
  assert.deepEqual(problem, { status: 403, slug: "code_needed", detail: "Give a code.", field: "code" });
  assert.deepEqual(readProblem(502, "<html>", null), { status: 502, slug: "status_502", detail: "" });
  assert.equal(readProblem(503, "{}", "7").retryAfterS, 7);
  assert.equal(readProblem(503, "null", "Wed, 21 Oct 2026 07:28:00 GMT").retryAfterS, undefined);
});

test("a route is read as it was written, whatever a user is called", () => {
  for (const name of ["ada", "a/b", "ä ö", "100%", "#", "../x"]) assert.deepEqual(parseRoute(hrefOf("users", name)), ["users", name]);
  assert.deepEqual(parseRoute("#/users/%E0%A4%A"), ["users", "%E0%A4%A"]);
  assert.deepEqual(parseRoute("#link=x"), []);
  assert.deepEqual(parseRoute(""), []);
});

test("a QR picture of the server is taken over; markup that is none is not", () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 45 45"><path fill="#fff" d="M0 0h45v45z"/><path d="M4 4h7v1h-7z" fill="#000"/></svg>';
  assert.equal(readQr(svg).side, 45);
  assert.equal(readQr("<svg onload=alert(1)>"), null);
  assert.equal(readQr('<svg viewBox="0 0 45 45"><path d="M4 4"onload="x"/></svg>')?.path ?? "M4 4", "M4 4");
  const decoy = decoyQr();
  assert.match(decoy.path, /^(M\d+ \d+h1v1h-1z)+$/);
});

test("texts: both languages say the same things with the same places to fill in", () => {
  const places = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort().join();
  const compare = (one, other, path) => {
    assert.deepEqual(Object.keys(one), Object.keys(other), path);
    for (const [name, value] of Object.entries(one)) {
      if (typeof value === "object") compare(value, other[name], `${path}.${name}`);
      else assert.equal(places(value), places(other[name]), `${path}.${name}`);
    }
  };
  compare(en, de, "texts");
  assert.equal(fill("{a} of {b}, {c}", { a: 1, b: "x" }), "1 of x, {c}");
});
