// What people do in between: two clicks, two tabs, back, reload, going away, coming back too late.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enterPortal, launch, visit } from "./support/browser.mjs";
import { phone, steady } from "./support/phone.mjs";
import { appOf, begin, codeField, registerButton, typeCode } from "./support/portal.mjs";
import { Server } from "./support/server.mjs";

let server, browser;
before(async () => {
  server = await Server.start({ movesClock: true });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const devicesOf = async (user) => (await server.rest("GET", `/v1/users/${user}/devices`)).devices;
const heading = (page, name) => page.getByRole("heading", { name, level: 1 }).waitFor();

test("a double click on Next begins one registration, a double click on Register MFA device confirms it once", async () => {
  const visitor = await enterPortal(browser, server, "double");
  const { page } = visitor;
  const sent = [];
  page.on("request", (request) => request.method() === "POST" && sent.push(new URL(request.url()).pathname));
  await registerButton(page).dblclick();
  await heading(page, "Device name");
  await page.getByLabel("Device name").fill("Phone");
  await page.getByRole("button", { name: "Next" }).dblclick();
  const app = await appOf(page);
  await steady();
  await codeField(page).fill(app.code());
  await registerButton(page).dblclick();
  await page.getByText("“Phone” is registered").waitFor();
  assert.deepEqual(sent.map((path) => path.split("/").at(-1)), ["devices", "confirm"]);
  assert.equal((await devicesOf("double")).length, 1);
  await visitor.close();
});

test("going back loses nothing: the name is there still, and the secret in the app stays right", async () => {
  const visitor = await enterPortal(browser, server, "back");
  const { page } = visitor;
  const app = await begin(page, "Phone");
  await page.getByRole("link", { name: "Back" }).click();
  await heading(page, "Device name");
  assert.equal(await page.getByLabel("Device name").inputValue(), "Phone");
  await page.getByLabel("Device name").fill("Better name");
  await page.getByRole("button", { name: "Next" }).click();
  assert.equal((await appOf(page)).secret, app.secret);
  await page.goBack();
  await heading(page, "Device name");
  await page.goForward();
  await heading(page, "Device configuration");
  await steady();
  await typeCode(page, app.code());
  await page.getByText("“Better name” is registered").waitFor();
  // Back from the list does not lead into a registration that is done.
  await page.goBack();
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal((await devicesOf("back")).length, 1);
  await visitor.close();
});

test("a reload keeps the registration: the QR code can be shown again, the secret key cannot", async () => {
  const visitor = await enterPortal(browser, server, "reload");
  const { page } = visitor;
  const app = await begin(page, "Phone");
  await page.reload();
  await heading(page, "Device configuration");
  await page.getByRole("button", { name: "Show secret key" }).click();
  await page.getByText("The secret key was shown only in the page that started this registration.").waitFor();
  await page.getByRole("button", { name: "Show QR code" }).click();
  await page.getByRole("img", { name: "QR code for your authenticator app" }).waitFor();
  await steady();
  await typeCode(page, app.code());
  await page.getByText("“Phone” is registered").waitFor();
  await visitor.close();
});

test("two tabs: what one has finished, the other finds out without harm", async () => {
  const visitor = await enterPortal(browser, server, "tabs");
  const { page, context } = visitor;
  const app = await begin(page, "Phone");
  const second = await context.newPage();
  await second.goto(page.url());
  await heading(second, "Device configuration");
  await steady();
  await typeCode(second, app.code());
  await second.getByText("“Phone” is registered").waitFor();
  await typeCode(page, app.code(30));
  await page.getByText("This device is registered already, perhaps in another tab.").waitFor();
  await heading(page, "My devices");
  assert.equal((await devicesOf("tabs")).length, 1);
  // Signed out in one tab: the other says so at its next step.
  await second.getByRole("button", { name: "Sign out" }).click();
  await second.getByText("You are signed out.").waitFor();
  await registerButton(page).click();
  await page.getByLabel("Device name").fill("Another");
  await page.getByRole("button", { name: "Next" }).click();
  await heading(page, "This page opens from a link");
  await visitor.close();
});

test("a registration begun in two tabs at once: each has its own device, and one of them can be discarded", async () => {
  const visitor = await enterPortal(browser, server, "twice");
  const { page, context } = visitor;
  const second = await context.newPage();
  await second.goto(`${server.base}/portal/`);
  await heading(second, "My devices");
  const app = await begin(page, "One");
  await begin(second, "Two");
  await steady();
  await typeCode(page, app.code());
  await page.getByText("“One” is registered").waitFor();
  await page.getByRole("button", { name: "Discard Two" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await page.getByText("The unfinished registration was discarded.").waitFor();
  await typeCode(second, "123456");
  await heading(second, "This registration is not there any more");
  await visitor.close();
});

test("an abandoned registration harms nothing that was registered before, and can be taken up again", async () => {
  await steady();
  const old = await server.register("abandon", "Old phone", phone, 1);
  const visitor = await enterPortal(browser, server, "abandon");
  const { page } = visitor;
  await registerButton(page).click();
  await codeField(page).fill(old.code());
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Device name").fill("New phone");
  await page.getByRole("button", { name: "Next" }).click();
  const app = await appOf(page);
  await page.getByRole("link", { name: "My devices" }).click();
  await page.getByText("Registration not finished").waitFor();
  assert.equal((await server.verify("abandon", old.code(30))).result, "accepted");
  await page.getByRole("button", { name: "Continue" }).click();
  await heading(page, "Device configuration");
  await steady();
  await typeCode(page, app.code());
  await page.getByText("“New phone” is registered").waitFor();
  await visitor.close();
});

test("no answer from the server is said, and the page goes on where it was", async () => {
  const visitor = await enterPortal(browser, server, "offline");
  const { page, context } = visitor;
  const app = await begin(page, "Phone");
  await steady();
  await context.setOffline(true);
  await typeCode(page, app.code());
  await page.getByRole("alert").getByText("No connection to the server.").waitFor();
  await context.setOffline(false);
  await typeCode(page, app.code());
  await page.getByText("“Phone” is registered").waitFor();
  await visitor.close();
});

test("a used link, a link that never was, and no link at all say what to do", async () => {
  const link = await server.link("links");
  const visitor = await visit(browser, server);
  const { page } = visitor;
  await page.goto(link);
  await heading(page, "My devices");
  await visitor.close();
  const stranger = await visit(browser, server);
  await stranger.page.goto(link);
  await heading(stranger.page, "This link no longer works");
  assert.equal(new URL(stranger.page.url()).hash, "#/", "the token has left the address");
  await stranger.page.goto(`${server.base}/portal/`);
  await heading(stranger.page, "This page opens from a link");
  // A link that comes to an open tab is followed.
  await stranger.page.evaluate((url) => (location.href = url), await server.link("links"));
  await heading(stranger.page, "My devices");
  await stranger.close();
});

// The last ones: from here on the server's clock is ahead of the phones'.
test("an expired registration offers a new start, noticed by the page itself or by the server", async () => {
  const visitor = await enterPortal(browser, server, "expired");
  const { page } = visitor;
  await page.clock.install();
  await begin(page, "Slow phone");
  await page.clock.fastForward(601_000);
  await heading(page, "This registration has expired");
  assert.equal(await page.getByRole("button", { name: "Show QR code" }).count(), 0);
  await page.getByRole("link", { name: "Start a new registration" }).click();
  await heading(page, "Device name");
  await visitor.close();

  const late = await enterPortal(browser, server, "late");
  const app = await begin(late.page, "Slow phone");
  server.forward(601);
  await typeCode(late.page, app.code());
  await heading(late.page, "This registration has expired");
  assert.equal(await late.page.getByText(app.secret.slice(0, 4)).count(), 0);
  await late.page.getByRole("link", { name: "Start a new registration" }).click();
  await heading(late.page, "Device name");
  await late.page.getByLabel("Device name").fill("Slow phone");
  await late.page.getByRole("button", { name: "Next" }).click();
  const again = await appOf(late.page);
  await typeCode(late.page, again.code(601));
  await late.page.getByText("“Slow phone” is registered").waitFor();
  await late.close();
});

test("a session that ended leads out, and says how to come back", async () => {
  const visitor = await enterPortal(browser, server, "session");
  server.forward(3_700);
  await registerButton(visitor.page).click();
  await visitor.page.getByLabel("Device name").fill("Phone");
  await visitor.page.getByRole("button", { name: "Next" }).click();
  await heading(visitor.page, "This page opens from a link");
  await visitor.close();
});
