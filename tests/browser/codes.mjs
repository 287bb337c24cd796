// Codes that are not right: what is said, and that it helps.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enterPortal, launch, picture } from "./support/browser.mjs";
import { phone, steady } from "./support/phone.mjs";
import { begin, codeField, prove, registerButton, typeCode } from "./support/portal.mjs";
import { Server } from "./support/server.mjs";

let server, browser;
before(async () => {
  server = await Server.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const alertText = async (page, text) => page.getByRole("alert").getByText(text).waitFor();

test("a wrong code, a short one and one from a wrong clock are told apart, and the registration goes on", async () => {
  const visitor = await enterPortal(browser, server, "ada");
  const { page } = visitor;
  const app = await begin(page, "Phone");
  await typeCode(page, "12345");
  await alertText(page, "The code has 6 digits.");
  assert.equal(await codeField(page).evaluate((field) => field === document.activeElement), true, "the field is ready for another try");
  assert.equal(await codeField(page).getAttribute("aria-invalid"), "true");
  await typeCode(page, app.wrongCode());
  await alertText(page, "That code is not right.");
  await steady();
  await typeCode(page, app.code(-120));
  await alertText(page, "your phone's clock is 2 minutes behind");
  await alertText(page, "Your registration stays as it is.");
  await picture(page, "codes-late");
  await steady();
  await typeCode(page, app.code(150));
  await alertText(page, /is (2|3) minutes ahead/);
  await steady();
  await typeCode(page, app.code());
  await page.getByText("“Phone” is registered").waitFor();
  await visitor.close();
});

test("with a device there already, a code of it comes first: wrong, used, then right", async () => {
  await steady();
  const old = await server.register("grace", "Old phone", phone);
  const visitor = await enterPortal(browser, server, "grace");
  const { page } = visitor;
  await registerButton(page).click();
  await prove(page, old.wrongCode());
  await alertText(page, "That code is not right.");
  await prove(page, old.code());
  await alertText(page, "That code was used already. Wait for the next one.");
  await prove(page, old.code(30));
  await page.getByRole("heading", { name: "Device name" }).waitFor();
  await page.getByLabel("Device name").fill("Old phone");
  await page.getByRole("button", { name: "Next" }).click();
  await alertText(page, "There is a device with that name already.");
  await page.getByLabel("Device name").fill("New phone");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("heading", { name: "Device configuration" }).waitFor();
  // Going straight to the address of the next step does not get around the code either.
  await visitor.close();
  const other = await enterPortal(browser, server, "grace");
  await other.page.goto(`${server.base}/portal/#/register`);
  await other.page.getByRole("heading", { name: "Is it you?" }).waitFor();
  await other.close();
});

test("too many wrong codes lock, and the page says for how long", async () => {
  const policy = await server.rest("GET", "/v1/policy");
  await server.setPolicy({ lockout: { ...policy.lockout, failures: 3, delay_s_min: 60 } });
  await steady();
  const old = await server.register("locked", "Phone", phone);
  const visitor = await enterPortal(browser, server, "locked");
  const { page } = visitor;
  await registerButton(page).click();
  for (let tries = 0; tries < 3; ++tries) {
    await prove(page, old.wrongCode());
    await alertText(page, /not right|Too many/);
  }
  await prove(page, old.code(30));
  await alertText(page, /Too many wrong codes. Try again in (\d\d seconds|1 minute)/);
  await server.rest("POST", "/v1/users/locked/unlock");
  await prove(page, old.code(30));
  await page.getByRole("heading", { name: "Device name" }).waitFor();
  await server.setPolicy({ lockout: policy.lockout });
  await visitor.close();
});

test("a recovery code stands in for a lost phone", async () => {
  await steady();
  await server.register("lost", "Lost phone", phone);
  const { codes } = await server.rest("POST", "/v1/users/lost/recovery-codes");
  const visitor = await enterPortal(browser, server, "lost");
  const { page } = visitor;
  await page.getByText("10 codes left").waitFor();
  await page.getByRole("button", { name: "Remove Lost phone" }).click();
  await page.getByRole("button", { name: "No device at hand? Use a recovery code" }).click();
  await page.getByLabel("Recovery code").fill(` ${codes[0].toLowerCase()} `);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("dialog").getByText("This is your last device").waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("9 codes left").waitFor();
  await visitor.close();
});

test("policy denies: the button is greyed out and says whom to ask, also for who is half-way through", async () => {
  const visitor = await enterPortal(browser, server, "denied");
  const { page } = visitor;
  await registerButton(page).click();
  await page.getByLabel("Device name").fill("Phone");
  await server.setPolicy({ self_registration: "denied" });
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Your organisation does not let you register devices yourself.").waitFor();
  await page.getByRole("link", { name: "Back to My devices" }).click();
  assert.equal(await registerButton(page).isDisabled(), true);
  const reason = await registerButton(page).getAttribute("aria-describedby");
  assert.match(await page.locator(`#${reason}`).textContent(), /Contact your administrator/);
  await picture(page, "codes-denied");
  await server.setPolicy({ self_registration: "allowed", max_devices_per_user: 1 });
  await steady();
  await server.register("denied", "Only phone", phone);
  await page.reload();
  await page.getByText("You have 1 device, which is the most your organisation allows.").waitFor();
  assert.equal(await registerButton(page).isDisabled(), true);
  await server.setPolicy({ max_devices_per_user: 8 });
  await visitor.close();
});
