// The registration of a device, step for step, as a person with a phone does it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enterPortal, launch, picture } from "./support/browser.mjs";
import { phone, scan, secretOf, steady } from "./support/phone.mjs";
import { begin, codeField, registerButton, typeCode } from "./support/portal.mjs";
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

test("a phone is registered from the QR code on the screen, and its codes work from then on", async () => {
  const visitor = await enterPortal(browser, server, "ada");
  const { page } = visitor;
  assert.equal(page.url(), `${server.base}/portal/#/`, "the link's token has left the address");
  await page.getByRole("link", { name: "My devices" }).click();
  await page.getByText("No device yet").waitFor();
  await registerButton(page).click();

  await page.getByRole("heading", { name: "Device name" }).waitFor();
  assert.match(await page.textContent("main"), /Your administrator sees this name/);
  await page.getByLabel("Device name").fill("My iPhone X");
  await page.getByRole("button", { name: "Next" }).click();

  await page.getByRole("heading", { name: "Device configuration" }).waitFor();
  const hidden = await picture(page, "registration-hidden");
  assert.throws(() => scan(hidden), "nothing can be scanned before the code is shown");
  await page.getByText("Wait until no one is looking over your shoulder").waitFor();
  await page.getByRole("button", { name: "Show QR code" }).click();
  const uri = scan(await picture(page, "registration-shown"));
  assert.match(uri, /^otpauth:\/\/totp\/Watchword:ada\?/);
  const app = phone(secretOf(uri));

  await steady();
  await typeCode(page, app.code());
  await page.getByText("“My iPhone X” is registered. Its codes work from now on.").waitFor();
  await page.getByRole("heading", { name: "My iPhone X" }).waitFor();

  const detail = await server.rest("GET", "/v1/users/ada");
  assert.deepEqual(detail.devices.map(({ name, status }) => [name, status]), [["My iPhone X", "active"]]);
  const code = app.code(30); // the next one, which the window takes already
  assert.equal((await server.verify("ada", code)).result, "accepted");
  assert.equal((await server.verify("ada", code)).result, "replayed");
  await visitor.close();
});

test("the same in dark, on a narrow phone screen, with the keyboard alone and the secret key typed", async () => {
  const visitor = await enterPortal(browser, server, "grace", { colorScheme: "dark", viewport: { width: 320, height: 640 } });
  const { page } = visitor;
  const press = (...keys) => keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const tabTo = async (name) => {
    for (let steps = 0; steps < 25; ++steps) {
      await press("Tab");
      const focused = await page.evaluate(() => {
        const at = document.activeElement;
        return at?.matches("a, button, input, select, textarea") ? at.textContent || at.labels?.[0]?.textContent || "" : "";
      });
      if (focused.includes(name)) return;
    }
    assert.fail(`the tab key does not lead to “${name}”`);
  };
  // A page's heading takes the focus a moment after it is there.
  const stepBegins = (title) => page.locator("h1:focus", { hasText: title }).waitFor();
  await tabTo("Register MFA device");
  await press("Enter");
  await stepBegins("Device name");
  await tabTo("Device name");
  await page.keyboard.type("Grace's tablet");
  await press("Enter");
  await stepBegins("Device configuration");
  await tabTo("Show secret key");
  await press("Enter");
  const shown = await page.locator(".secret-key").textContent();
  assert.match(shown, /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/, "grouped in fours");
  const app = phone(shown.replaceAll(" ", ""));
  await tabTo("Type that MFA code here");
  await steady();
  await page.keyboard.type(app.code());
  await press("Enter");
  await page.getByText("“Grace's tablet” is registered").waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, "nothing has to be scrolled sideways");
  await visitor.close();
});

test("the QR code stays dark on white in the dark theme, and a camera reads it", async () => {
  const visitor = await enterPortal(browser, server, "dark", { colorScheme: "dark" });
  await begin(visitor.page, "Phone");
  await visitor.page.getByRole("button", { name: "Show QR code" }).click();
  assert.ok(secretOf(scan(await picture(visitor.page, "registration-dark"))));
  await visitor.close();
});

test("the field for the code takes what people paste, and asks the phone for it", async () => {
  const visitor = await enterPortal(browser, server, "paste", { permissions: ["clipboard-read", "clipboard-write"] });
  const { page } = visitor;
  const app = await begin(page, "Phone");
  const field = codeField(page);
  assert.equal(await field.getAttribute("autocomplete"), "one-time-code");
  assert.equal(await field.getAttribute("inputmode"), "numeric");
  await page.getByRole("button", { name: "Copy secret key" }).click();
  await page.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), app.secret);
  await steady();
  const code = app.code();
  await page.evaluate((text) => navigator.clipboard.writeText(text), ` ${code.slice(0, 3)} ${code.slice(3)}\n`);
  await field.focus();
  await page.keyboard.press("Control+V");
  assert.equal(await field.inputValue(), code);
  await page.keyboard.press("Enter");
  await page.getByText("“Phone” is registered").waitFor();
  await visitor.close();
});

test("the time left of the current code is counted down", async () => {
  const visitor = await enterPortal(browser, server, "time");
  await begin(visitor.page, "Phone");
  const timer = visitor.page.getByRole("timer");
  const seconds = async () => Number(/changes in (\d+)\ss/.exec(await timer.textContent())[1]);
  const shown = await seconds();
  const real = 30 - ((Date.now() / 1000) % 30);
  assert.ok(Math.abs(shown - real) <= 2 || Math.abs(Math.abs(shown - real) - 30) <= 2, `${shown} is shown, ${real} are left`);
  await visitor.page.waitForFunction((before) => !document.querySelector("[role=timer]").textContent.includes(`in ${before}\u00a0s`), shown);
  await visitor.close();
});

test("names are checked where they are typed", async () => {
  const visitor = await enterPortal(browser, server, "fresh");
  const { page } = visitor;
  await registerButton(page).click();
  await page.getByLabel("Device name").fill("   ");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("alert").getByText("Enter a name.").waitFor();
  await page.getByLabel("Device name").fill("<b>\"'&ä🔑");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Connect an authenticator app with “<b>\"'&ä🔑”.").waitFor();
  await visitor.close();
});

test("the whole of it in German", async () => {
  const visitor = await enterPortal(browser, server, "karla", { locale: "de-DE" });
  const { page } = visitor;
  assert.equal(await page.getAttribute("html", "lang"), "de");
  await page.getByRole("button", { name: "MFA-Gerät registrieren" }).click();
  await page.getByLabel("Gerätename").fill("Karlas Telefon");
  await page.getByRole("button", { name: "Weiter" }).click();
  await page.getByRole("button", { name: "Geheimen Schlüssel zeigen" }).click();
  const app = phone((await page.locator(".secret-key").textContent()).replaceAll(" ", ""));
  await steady();
  await page.locator("input.code").fill(app.code());
  await page.keyboard.press("Enter");
  await page.getByText("„Karlas Telefon“").waitFor();
  await page.getByLabel("Sprache").selectOption("en");
  await page.getByRole("heading", { name: "My devices" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "My devices" }).waitFor();
  await visitor.close();
});
