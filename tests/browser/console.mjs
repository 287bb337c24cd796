// The administrator's console over 100,000 people.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessibilityFaults, enterConsole, launch, picture, visit } from "./support/browser.mjs";
import { madeSecret, phone, scan, secretOf, steady } from "./support/phone.mjs";
import { begin, typeCode } from "./support/portal.mjs";
import { Server } from "./support/server.mjs";

const people = 100_000;
const nameOf = (i) => `person${String(i).padStart(6, "0")}@example.org`;
const known = phone(madeSecret("known"));

let server, browser;
before(async () => {
  const rows = Array.from({ length: people }, (_, i) => `${nameOf(i)},Phone ${i},${known.secret},,,`);
  server = await Server.start({ people: `user,name,secret,algorithm,digits,period\n${rows.join("\n")}\n` });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const open = async (page, name) => {
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
};
const find = async (page, user) => {
  await page.getByLabel("Find a person").fill(user);
  await page.getByRole("link", { name: user, exact: true }).click();
  await page.getByRole("heading", { name: user, level: 1 }).waitFor();
};
const rowOf = (page, text) => page.getByRole("row").filter({ hasText: text });

test("a key that is not right is refused, one that is right signs in, and signing out ends it", async () => {
  const visitor = await visit(browser, server);
  const { page } = visitor;
  await page.goto(`${server.base}/console/`);
  await page.getByLabel("API key").fill("ww_0000000000000000_" + "A".repeat(43));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("The server does not accept this key.").waitFor();
  assert.equal(await page.getByLabel("API key").inputValue(), "");
  await page.getByLabel("API key").fill(server.admin);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "People" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "People" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  await page.goBack();
  await page.goto(`${server.base}/console/#/users/${nameOf(1)}`);
  await page.getByLabel("API key").waitFor();
  await visitor.close();
});

test("one person among 100,000 is found while typing, and the list is turned page by page", async () => {
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.getByText(nameOf(49)).waitFor();
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByText(nameOf(50)).waitFor();
  await page.getByText("Page 2").waitFor();
  await page.getByRole("button", { name: "Previous page" }).click();
  await page.getByText(nameOf(0)).waitFor();
  await page.getByLabel("Find a person").pressSequentially("person0777");
  await page.getByText(nameOf(77_700)).waitFor();
  assert.equal(await page.getByRole("row").count(), 51);
  await page.getByLabel("Find a person").fill("nobody");
  await page.getByText("Nobody whose name begins so.").waitFor();
  await page.getByRole("link", { name: "Open “nobody” to register a first device" }).click();
  await page.getByText("No device has been registered for this person yet.").waitFor();
  await visitor.close();
});

test("a device is disabled, enabled and removed, and the lock of a person is lifted", async () => {
  const user = nameOf(77_777);
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await find(page, user);
  await rowOf(page, "Phone 77777").getByText("Active").waitFor();
  await steady();
  assert.equal((await server.verify(user, known.code(-30))).result, "accepted");

  await page.getByRole("button", { name: "Disable Phone 77777" }).click();
  await page.getByText("Codes of “Phone 77777” are refused from now on.").waitFor();
  assert.equal((await server.verify(user, known.code())).result, "no_device");
  await page.getByRole("button", { name: "Enable Phone 77777" }).click();
  await page.getByText("“Phone 77777” works again.").waitFor();
  assert.equal((await server.verify(user, known.code())).result, "accepted");

  // A delay that is still there when the page has been drawn, however slow the machine.
  const { lockout } = await server.rest("GET", "/v1/policy");
  await server.setPolicy({ lockout: { ...lockout, delay_s_min: 600 } });
  for (let tries = 0; tries < 12; ++tries) await server.verify(user, known.wrongCode());
  await server.setPolicy({ lockout });
  await page.reload();
  await page.getByText(/Locked for \d+ (second|minute)/).waitFor();
  await page.getByText("10 wrong codes in a row").or(page.getByText("11 wrong codes in a row")).waitFor();
  await picture(page, "console-locked");
  await page.getByRole("button", { name: "Unlock" }).click();
  await page.getByText("Unlocked, and the wrong codes are forgotten.").waitFor();
  await page.getByText("Not locked").waitFor();
  assert.equal((await server.rest("GET", `/v1/users/${user}`)).failures, 0);

  await page.getByRole("button", { name: "Remove Phone 77777" }).click();
  await page.getByRole("dialog").getByText("This cannot be undone.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("“Phone 77777” was removed.").waitFor();
  assert.equal((await server.verify(user, known.code(30))).result, "no_device");

  await page.getByRole("button", { name: "Remove this person" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("heading", { name: "People" }).waitFor();
  await assert.rejects(server.rest("GET", `/v1/users/${user}`), /404/);
  await visitor.close();
});

test("a device whose clock has run away is resynchronised by two codes in a row, read over the phone", async () => {
  const user = nameOf(55_555);
  const aheadS = 5 * 30;
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await find(page, user);
  await steady(15);
  const [shows, follows, later] = [0, 30, 60].map((laterS) => known.code(aheadS + laterS));
  assert.equal((await server.verify(user, shows)).result, "rejected");
  await page.getByRole("button", { name: "Resync Phone 55555" }).click();
  const dialog = page.getByRole("dialog");
  const [first, second] = [dialog.getByLabel("Code that it shows now"), dialog.getByLabel("Code that follows")];
  await dialog.getByRole("button", { name: "Resync" }).click();
  await dialog.getByRole("alert").getByText("The code has 6 digits.").waitFor();
  await first.fill(shows);
  await second.fill(known.wrongCode());
  await dialog.getByRole("button", { name: "Resync" }).click();
  await dialog.getByRole("alert").getByText("These are not two codes in a row of this device").waitFor();
  assert.deepEqual(await accessibilityFaults(page), []);
  await picture(page, "console-resync");
  await second.fill(follows);
  await dialog.getByRole("button", { name: "Resync" }).click();
  await page.getByText(/“Phone 55555” is in step again\. Its clock: [56] steps ahead\./).waitFor();
  await rowOf(page, "Phone 55555").getByText(/[56] steps ahead/).waitFor();
  assert.equal((await server.verify(user, later)).result, "accepted");
  const { entries } = await server.rest("GET", `/v1/audit?user=${encodeURIComponent(user)}&action=device.resync`);
  assert.deepEqual(entries.map(({ detail }) => detail.result).sort(), ["accepted", "rejected"]);
  assert.match(entries[0].actor, /^console:/);
  await visitor.close();
});

test("what somebody else changed about a person meanwhile is shown, not overwritten", async () => {
  const user = nameOf(66666);
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.goto(`${server.base}/console/#/users/${user}`);
  await page.getByRole("heading", { name: user, level: 1 }).waitFor();
  const [device] = (await server.rest("GET", `/v1/users/${user}`)).devices;
  await rowOf(page, "Phone 66666").getByText("Active").waitFor();
  await server.rest("PATCH", `/v1/users/${user}/devices/${device.id}`, { name: "Renamed" });
  await page.getByRole("button", { name: "Disable Phone 66666" }).click();
  await page.getByRole("alert").getByText("Somebody has changed").waitFor();
  await rowOf(page, "Renamed").getByText("Active").waitFor();

  await server.rest("PATCH", `/v1/users/${user}/devices/${device.id}`, { enabled: false });
  await page.getByRole("button", { name: "Remove this person" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("alert").getByText("Somebody has changed").waitFor();
  await rowOf(page, "Renamed").getByText("Disabled").waitFor();
  await page.getByRole("button", { name: "Enable Renamed" }).click();
  await page.getByText("“Renamed” works again.").waitFor();
  await visitor.close();
});

test("a link is minted, opens the portal as that person, and the audit trail says who made it", async () => {
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.goto(`${server.base}/console/#/users/newcomer`);
  await page.getByLabel("Valid for").selectOption({ label: "1 hour" });
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.locator("code.once").textContent();
  const person = await visit(browser, server);
  await person.page.goto(link);
  const app = await begin(person.page, "Newcomer's phone");
  await steady();
  await typeCode(person.page, app.code());
  await person.page.getByText("“Newcomer's phone” is registered").waitFor();
  await person.close();

  await page.reload();
  await rowOf(page, "Newcomer's phone").getByText("Active").waitFor();
  await page.getByRole("link", { name: "Audit trail" }).last().click();
  await page.getByRole("heading", { name: "Audit trail" }).waitFor();
  assert.equal(await page.getByLabel("User").inputValue(), "newcomer");
  const made = await rowOf(page, "portal_link.make").textContent();
  assert.match(made, /console:[0-9a-f]{16}/);
  const entered = await rowOf(page, "portal.sign_in").textContent();
  assert.match(entered, /made_by: console:[0-9a-f]{16}/);
  await visitor.close();
});

test("a device is registered on behalf of a person, from the QR code", async () => {
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.goto(`${server.base}/console/#/users/beside`);
  await page.getByLabel("Device name").fill("Token 7");
  await page.getByRole("button", { name: "Begin registration" }).click();
  await rowOf(page, "Token 7").getByText("Pending").waitFor();
  await page.getByRole("button", { name: "Show QR code" }).click();
  await page.getByRole("img", { name: "QR code for your authenticator app" }).scrollIntoViewIfNeeded();
  const app = phone(secretOf(scan(await picture(page, "console-behalf"))));
  await steady();
  await page.getByLabel("Code that the device shows").fill(app.wrongCode());
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("alert").getByText("That code is not right.").waitFor();
  await page.getByLabel("Code that the device shows").fill(app.code(-180));
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByRole("alert").getByText(/the device's clock is [34] minutes behind/).waitFor();
  await page.getByLabel("Code that the device shows").fill(app.code());
  await page.getByRole("button", { name: "Confirm" }).click();
  await page.getByText("“Token 7” is registered.").waitFor();
  await rowOf(page, "Token 7").getByText("Active").waitFor();
  assert.equal((await server.verify("beside", app.code(30))).result, "accepted");
  await visitor.close();
});

test("policy: each setting says what it does; what somebody else changed meanwhile is not overwritten", async () => {
  const one = await enterConsole(browser, server);
  const other = await enterConsole(browser, server);
  await open(one.page, "Policy");
  await open(other.page, "Policy");
  const settings = one.page.getByLabel("Self-registration");
  await settings.selectOption("denied");
  await one.page.getByText("The portal's register button is greyed out and sends people to you.").waitFor();
  await one.page.getByText("Changed: Self-registration").waitFor();
  await one.page.getByRole("button", { name: "Discard changes" }).click();
  assert.equal(await settings.inputValue(), "allowed");
  await one.page.getByLabel("Most devices per person").fill("3");
  await one.page.getByRole("button", { name: "Save policy" }).click();
  await one.page.getByText("Saved. It holds from now on.").waitFor();
  assert.equal((await server.rest("GET", "/v1/policy")).max_devices_per_user, 3);

  await other.page.getByLabel("Issuer").fill("Elsewhere");
  await other.page.getByRole("button", { name: "Save policy" }).click();
  await other.page.getByText("Somebody has changed the policy since you opened it.").waitFor();
  assert.equal(await other.page.getByLabel("Most devices per person").inputValue(), "3");
  assert.equal((await server.rest("GET", "/v1/policy")).issuer, "Watchword");
  await other.page.getByLabel("Digits").fill("12");
  await other.page.getByRole("button", { name: "Save policy" }).click();
  await other.page.getByRole("alert").first().waitFor();
  assert.equal(await other.page.getByLabel("Digits").getAttribute("aria-invalid"), "true");
  assert.equal((await server.rest("GET", "/v1/policy")).digits, 6);
  await server.setPolicy({ max_devices_per_user: 8 });
  await one.close();
  await other.close();
});

test("an API key is made, shown once, works, and is revoked; a key of few scopes is told what it may not", async () => {
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await open(page, "API keys");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("alert").getByText("Enter a name.").waitFor();
  await page.getByLabel("Name").fill("Help desk");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("alert").getByText("Choose one scope at least.").waitFor();
  await page.getByLabel("read people and devices").check();
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("This is the key of “Help desk”. It is shown once.").waitFor();
  const key = await page.locator("code.once").textContent();
  await rowOf(page, "Help desk").waitFor();
  await page.reload();
  await rowOf(page, "Help desk").waitFor();
  assert.equal((await page.content()).includes(key), false);

  const desk = await enterConsole(browser, server, { key });
  await find(desk.page, nameOf(5));
  await desk.page.getByRole("button", { name: "Disable Phone 5" }).click();
  await desk.page.getByRole("alert").getByText("You may not do this here").waitFor();
  await open(desk.page, "API keys");
  await desk.page.getByRole("alert").getByText("You may not do this here").waitFor();

  await page.getByRole("button", { name: "Revoke Help desk" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByText("“Help desk” was revoked.").waitFor();
  await desk.page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "People" }).click();
  await desk.page.getByText("Your session has ended. Sign in again.").waitFor();
  await desk.close();
  await visitor.close();
});

test("an API key expires, is bound to networks, and is rotated: the new one works, the old one for a while", async () => {
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await open(page, "API keys");
  await page.getByLabel("Name").fill("Nightly job");
  await page.getByLabel("read people and devices").check();
  await page.getByLabel("Expires").selectOption({ label: "90 days" });
  await page.getByLabel("Only from").fill("10.0.0.0/33");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByRole("alert").getByText("Address ranges are").waitFor();
  assert.equal(await page.getByLabel("Only from").getAttribute("aria-invalid"), "true");
  await page.getByLabel("Only from").fill("127.0.0.0/8, 10.0.0.0/8");
  await page.getByRole("button", { name: "Create key" }).click();
  await page.getByText("This is the key of “Nightly job”.").waitFor();
  const old = await page.locator("code.once").textContent();
  await rowOf(page, "Nightly job").getByText("127.0.0.0/8, 10.0.0.0/8").waitFor();
  await page.getByRole("button", { name: "Rotate Nightly job" }).click();
  await page.getByRole("dialog").getByText("The old one goes on working for 24 hours").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  await page.waitForFunction((before) => document.querySelector("code.once")?.textContent !== before, old);
  const fresh = await page.locator("code.once").textContent();
  for (const key of [old, fresh]) {
    const answer = await fetch(`${server.base}/v1/users?limit=1`, { headers: { Authorization: `Bearer ${key}` } });
    assert.equal(answer.status, 200);
  }
  await visitor.close();
});

test("the audit trail is filtered by person, action and time, and older entries follow on request", async () => {
  const user = "audited";
  for (let i = 0; i < 8; ++i) await server.rest("POST", `/v1/users/${user}/devices`, { name: `Phone ${i}` });
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await open(page, "Audit trail");
  await page.getByLabel("User").fill(user);
  await page.getByLabel("Action").selectOption("device.begin");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByText("8 entries shown.", { exact: true }).waitFor({ state: "attached" }); // and not 68
  assert.equal(await page.getByRole("row").count(), 9);
  await page.getByLabel("To").fill("2020-01-01T00:00");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByText("Nothing in the trail matches.").waitFor();
  await page.getByLabel("To").fill("");
  await page.getByLabel("Action").selectOption("");
  await page.getByLabel("User").fill("");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByRole("cell", { name: /console:/ }).first().waitFor();
  await visitor.close();
});
