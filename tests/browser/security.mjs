// What must not happen: a cookie that scripts read, a change from another site, a secret that stays behind.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { enterConsole, enterPortal, launch, visit } from "./support/browser.mjs";
import { phone, steady } from "./support/phone.mjs";
import { appOf, begin, codeField, registerButton, typeCode } from "./support/portal.mjs";
import { Server } from "./support/server.mjs";

const firstLoadBytesMax = 60_000;

let server, browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// Everything that scripts of the page still hold, as text: after a garbage collection, the heap.
async function heapOf(page) {
  // Whoever drives the browser holds on to the element that was clicked last, and with it to all around it: let that be one
  // that says nothing.
  await page.locator("footer").click({ position: { x: 1, y: 1 } });
  const session = await page.context().newCDPSession(page);
  const chunks = [];
  session.on("HeapProfiler.addHeapSnapshotChunk", ({ chunk }) => chunks.push(chunk));
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  await session.send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
  await session.detach();
  return chunks.join("");
}
const holds = async (page, text) => ({
  document: (await page.content()).includes(text),
  heap: (await heapOf(page)).includes(text),
});
const clean = { document: false, heap: false };

test("the cookies of portal and console are for this site, for no script, and for the session alone", async () => {
  const visitor = await enterPortal(browser, server, "cookie");
  await visitor.page.goto(`${server.base}/console/`);
  await visitor.page.getByLabel("API key").fill(server.admin);
  await visitor.page.keyboard.press("Enter");
  await visitor.page.getByRole("heading", { name: "People" }).waitFor();
  const cookies = await visitor.context.cookies();
  assert.deepEqual(cookies.map(({ name }) => name).sort(), ["watchword_console", "watchword_portal"]);
  for (const cookie of cookies) {
    assert.ok(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.path === "/" && cookie.expires === -1, JSON.stringify(cookie));
  }
  assert.equal(await visitor.page.evaluate(() => document.cookie), "");
  assert.deepEqual(await visitor.page.evaluate(() => Object.keys({ ...localStorage, ...sessionStorage })), []);
  await visitor.close();
});

test("over TLS the cookie carries the prefix __Host- and is Secure", async () => {
  const secure = await Server.start({ tls: true });
  try {
    const visitor = await visit(browser, secure, { ignoreHTTPSErrors: true });
    const link = await secure.link("tls");
    assert.ok(link.startsWith(`${secure.base}/portal/#link=`), link);
    await visitor.page.goto(link);
    await registerButton(visitor.page).waitFor();
    const [cookie] = await visitor.context.cookies();
    assert.equal(cookie.name, "__Host-watchword_portal");
    assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Strict");
    await begin(visitor.page, "Phone");
    await visitor.close();
  } finally {
    await secure.stop();
  }
});

test("a change without the session's token is refused", async () => {
  const visitor = await enterPortal(browser, server, "csrf");
  const ask = (headers) =>
    visitor.page.evaluate(async (more) => {
      const answer = await fetch("/portal/api/devices", {
        method: "POST", headers: { "Content-Type": "application/json", ...more }, body: JSON.stringify({ name: "Phone" }),
      });
      return [answer.status, (await answer.json()).type];
    }, headers);
  const refused = [403, "urn:watchword:problem:bad_csrf_token"];
  assert.deepEqual(await ask({}), refused);
  assert.deepEqual(await ask({ "X-CSRF-Token": "A".repeat(43) }), refused);
  await visitor.close();
});

test("another site's page can neither change anything, nor read anything, nor show the portal in a frame", async () => {
  const visitor = await enterPortal(browser, server, "victim");
  const evil = createServer((_, answer) => {
    answer.setHeader("Content-Type", "text/html");
    answer.end(`<form method="post" action="${server.base}/portal/api/recovery-codes" enctype="text/plain"><input name="x"></form>
      <iframe src="${server.base}/portal/"></iframe>`);
  });
  await new Promise((resolve) => evil.listen(0, "127.0.0.1", resolve));
  try {
    const page = await visitor.context.newPage();
    await page.goto(`http://localhost:${evil.address().port}/`);
    const read = await page.evaluate((base) =>
      fetch(`${base}/portal/api/session`, { credentials: "include" }).then(() => "read", () => "refused"), server.base);
    assert.equal(read, "refused");
    assert.equal(await page.frames()[1].locator("#app").count(), 0, "not in a frame");
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url().endsWith("/recovery-codes")),
      page.evaluate(() => document.querySelector("form").submit()),
    ]);
    assert.ok([401, 403].includes(answer.status()), String(answer.status()));
    assert.equal((await server.rest("GET", "/v1/audit?user=victim")).entries.some(({ action }) => action === "recovery_codes.make"), false);
  } finally {
    evil.close();
    evil.closeAllConnections?.();
  }
  await visitor.context.close(); // it has asked other origins, as it should
});

test("answers with secrets are not kept by the browser, and the pages load in at most 60 kB", async () => {
  const visitor = await visit(browser, server);
  const answers = [];
  visitor.page.on("response", (answer) => answers.push(answer));
  await visitor.page.goto(await server.link("size"));
  await registerButton(visitor.page).waitFor();
  await visitor.page.waitForLoadState("networkidle");
  let bytes = 0;
  for (const answer of answers) {
    const { responseBodySize, responseHeadersSize } = await answer.request().sizes();
    bytes += responseBodySize + responseHeadersSize;
  }
  assert.ok(bytes > 10_000 && bytes <= firstLoadBytesMax, `${bytes} bytes`);
  console.log(`# first load of the portal: ${bytes} bytes in ${answers.length} answers`);
  const scripts = answers.filter((answer) => answer.url().includes("/assets/"));
  for (const answer of scripts) {
    const headers = await answer.allHeaders();
    assert.match(headers["cache-control"], /immutable/);
    assert.equal(headers["content-encoding"], "br", answer.url());
  }
  await begin(visitor.page, "Phone");
  await visitor.page.reload();
  await visitor.page.getByRole("button", { name: "Show QR code" }).click();
  await visitor.page.getByRole("img", { name: "QR code for your authenticator app" }).waitFor();
  const asked = answers.filter((answer) => answer.url().includes("/portal/api/"));
  assert.ok(asked.some((answer) => answer.url().endsWith("/qr.svg")) && asked.some((answer) => answer.status() === 201));
  for (const answer of asked) assert.equal((await answer.allHeaders())["cache-control"], "no-store", answer.url());
  await visitor.close();
});

test("the link's token is in no request's address, in no log, and in no history", async () => {
  const link = await server.link("token");
  const token = link.split("=")[1];
  const visitor = await visit(browser, server);
  const addresses = [];
  visitor.page.on("request", (request) => addresses.push(request.url(), JSON.stringify(request.headers())));
  await visitor.page.goto(link);
  await registerButton(visitor.page).waitFor();
  assert.equal(visitor.page.url().includes(token), false);
  // The very first address is the link itself, of which only what precedes the fragment was sent.
  assert.equal(addresses.slice(1).some((text) => text.includes(token)), false);
  assert.deepEqual(await holds(visitor.page, token), clean);
  assert.equal(server.log().includes(token), false);
  await visitor.close();
});

test("the secret is in the page only while it is needed, and gone from document and memory on leaving", async () => {
  const visitor = await enterPortal(browser, server, "secret");
  const { page } = visitor;
  await registerButton(page).click();
  await page.getByLabel("Device name").fill("Phone");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Show secret key" }).waitFor();
  const shown = await appOf(page);
  const grouped = shown.secret.match(/.{4}/g).join(" ");
  assert.equal((await page.content()).includes(grouped), true);
  assert.equal((await holds(page, shown.secret)).heap, true, "the search finds what is there");
  await page.getByRole("button", { name: "Hide secret key" }).click();
  await page.getByRole("button", { name: "Show QR code" }).click();
  await page.getByRole("button", { name: "Hide QR code" }).click();
  assert.equal((await page.content()).includes(grouped), false);
  await page.getByRole("link", { name: "My devices" }).click();
  await page.getByText("Registration not finished").waitFor();
  assert.deepEqual([await holds(page, shown.secret), await holds(page, grouped)], [clean, clean]);

  // The same when the registration is finished.
  const done = await enterPortal(browser, server, "secret2");
  const app = await begin(done.page, "Phone");
  await steady();
  await typeCode(done.page, app.code());
  await done.page.getByText("“Phone” is registered").waitFor();
  assert.deepEqual(await holds(done.page, app.secret), clean);

  // And recovery codes.
  await done.page.getByRole("button", { name: "Make recovery codes" }).click();
  await done.page.locator(".recovery-codes").waitFor();
  const [code] = await done.page.locator(".recovery-codes code").allTextContents();
  assert.equal((await holds(done.page, code)).heap, true);
  await done.page.getByRole("button", { name: "I have kept them" }).click();
  await done.page.getByText("10 codes left").waitFor();
  assert.deepEqual(await holds(done.page, code), clean);
  await done.close();

  await visitor.close();
  assert.equal(server.log().includes(shown.secret), false);
});

test("signing out ends the session at the server, and going back shows nothing of it", async () => {
  const visitor = await enterPortal(browser, server, "leave");
  const { page } = visitor;
  const app = await begin(page, "Phone");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.deepEqual(await visitor.context.cookies(), []);
  assert.deepEqual(await holds(page, app.secret), clean);
  await page.goBack();
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal(await codeField(page).count(), 0);
  await visitor.close();
});

test("an administrator's key is not kept by the page that takes it", async () => {
  const visitor = await enterConsole(browser, server);
  assert.deepEqual(await holds(visitor.page, server.admin), clean);
  assert.equal(server.log().includes(server.admin), false);
  await visitor.close();
});

test("what the console shows once, a link, a secret, a key, is gone when its page is left", async () => {
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.goto(`${server.base}/console/#/users/somebody`);
  await page.getByRole("button", { name: "Make a link" }).click();
  const token = (await page.locator("code.once").textContent()).split("=")[1];
  await page.getByLabel("Device name").fill("Token 7");
  await page.getByRole("button", { name: "Begin registration" }).click();
  await page.getByLabel("Code that the device shows").waitFor();
  await page.getByRole("button", { name: "Show secret key" }).click();
  const grouped = await page.locator("code.secret-key").textContent();
  assert.equal((await holds(page, grouped)).heap, true);
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "API keys" }).click();
  await page.getByLabel("Name").fill("Job");
  await page.getByLabel("read people and devices").check();
  await page.getByRole("button", { name: "Create key" }).click();
  const key = await page.locator("code.once").textContent();
  for (const secret of [token, grouped, grouped.replaceAll(" ", "")]) assert.deepEqual(await holds(page, secret), clean);
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "Policy" }).click();
  await page.getByRole("heading", { name: "Policy" }).waitFor();
  assert.deepEqual(await holds(page, key), clean);
  await visitor.close();
});
