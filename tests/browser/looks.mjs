// Every page, in light and dark, at three widths and in both languages: nothing for axe-core to find fault with, nothing that
// has to be scrolled sideways, and a picture of each for people to look at (build/browser/).
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessibilityFaults, enterConsole, enterPortal, launch, picture, visit } from "./support/browser.mjs";
import { phone, steady } from "./support/phone.mjs";
import { begin, codeField, registerButton, typeCode } from "./support/portal.mjs";
import { Server } from "./support/server.mjs";

const widths = [320, 768, 1440];

let server, browser;
before(async () => {
  server = await Server.start({ config: '[portal]\ncontact = "mfa@example.org, phone 1234"\n' });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const faults = [];

async function setLanguage(page, language) {
  await page.locator("footer select").selectOption(language);
  await page.waitForFunction((wanted) => document.documentElement.lang === wanted, language);
}

// The page as it stands, at every width in both themes; German at the narrowest, where words are longest.
async function look(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    faults.push(...(await accessibilityFaults(page)).map((fault) => `${name} in ${colorScheme}: ${fault}`));
  }
  for (const width of widths) {
    const colorScheme = width === 768 ? "dark" : "light";
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    const needed = await page.evaluate(() => document.documentElement.scrollWidth);
    if (needed > width) faults.push(`${name} at ${width} px is ${needed} px wide`);
    await picture(page, `${name}-${width}`, { fullPage: true });
  }
  const modal = (await page.locator("dialog[open]").count()) > 0; // what lies behind cannot be reached
  if (!modal) {
    await page.setViewportSize({ width: 320, height: 800 });
    await setLanguage(page, "de");
    const needed = await page.evaluate(() => document.documentElement.scrollWidth);
    if (needed > 320) faults.push(`${name} in German is ${needed} px wide`);
    await picture(page, `${name}-320-de`, { fullPage: true });
    await setLanguage(page, "en");
  }
  await page.setViewportSize({ width: 1100, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
}

// The pictures of docs/images, as they are there.
async function docPicture(page, name) {
  await page.setViewportSize({ width: 980, height: 600 });
  await page.evaluate(() => document.activeElement?.blur());
  await picture(page, `doc-${name}`, { fullPage: true });
}

test("the portal's pages", { timeout: 200_000 }, async () => {
  faults.length = 0;
  const stranger = await visit(browser, server);
  await stranger.page.goto(`${server.base}/portal/`);
  await stranger.page.getByRole("heading", { name: "This page opens from a link" }).waitFor();
  await look(stranger.page, "portal-outside");
  await stranger.close();

  const visitor = await enterPortal(browser, server, "ada");
  const { page } = visitor;
  await page.getByText("No device yet").waitFor();
  await look(page, "portal-empty");
  await registerButton(page).click();
  await look(page, "portal-name");
  await page.getByRole("link", { name: "Cancel" }).click();
  const app = await begin(page, "My iPhone X");
  await page.getByRole("button", { name: "Hide secret key" }).click();
  await look(page, "portal-configuration");
  await page.getByRole("button", { name: "Show secret key" }).click();
  await page.getByRole("button", { name: "Show QR code" }).click();
  await docPicture(page, "configuration");
  await codeField(page).fill(app.code(-120));
  await page.keyboard.press("Enter");
  await page.locator(".field-error").waitFor();
  await look(page, "portal-late-code");
  await steady();
  await typeCode(page, app.code());
  await page.getByText("is registered").waitFor();
  await begin(page, "Tablet");
  await page.getByRole("link", { name: "My devices" }).click();
  await page.getByText("Registration not finished").waitFor();
  await look(page, "portal-devices");
  await docPicture(page, "devices");
  await page.getByRole("button", { name: "Rename My iPhone X" }).click();
  await look(page, "portal-rename");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Remove My iPhone X" }).click();
  await look(page, "portal-remove");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Make recovery codes" }).click();
  await page.getByRole("heading", { name: "Recovery codes" }).waitFor();
  await look(page, "portal-recovery");
  await visitor.close();

  const again = await enterPortal(browser, server, "ada");
  await registerButton(again.page).click();
  await again.page.getByRole("heading", { name: "Is it you?" }).waitFor();
  await look(again.page, "portal-code");
  await server.setPolicy({ self_registration: "denied" });
  await again.page.getByRole("link", { name: "My devices" }).click();
  await again.page.getByText("does not let you register").waitFor();
  await look(again.page, "portal-denied");
  await server.setPolicy({ self_registration: "allowed" });
  await again.page.goto(`${server.base}/portal/#/configure/0000000000000000`);
  await again.page.getByRole("heading", { name: "This registration is not there any more" }).waitFor();
  await look(again.page, "portal-gone");
  await again.close();
  assert.deepEqual(faults, []);
});

test("the console's pages", { timeout: 200_000 }, async () => {
  faults.length = 0;
  await server.register("grace.hopper@example.org", "My iPhone X", phone, 1);
  for (let i = 0; i < 6; ++i) await server.register(`person${i}@example.org`, "Phone", phone);
  await server.rest("POST", "/v1/users/grace.hopper@example.org/devices", { name: "Tablet in the office" });
  const stranger = await visit(browser, server);
  await stranger.page.goto(`${server.base}/console/`);
  await stranger.page.getByLabel("API key").waitFor();
  await look(stranger.page, "console-sign-in");
  await stranger.close();

  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.getByText("person5@example.org").waitFor();
  await look(page, "console-people");
  await page.getByRole("link", { name: "grace.hopper@example.org" }).click();
  await page.getByText("Tablet in the office").waitFor();
  await page.getByRole("button", { name: "Make a link" }).click();
  await page.locator("code.once").waitFor();
  await page.getByLabel("Device name").fill("Token 7");
  await page.getByRole("button", { name: "Begin registration" }).click();
  await page.getByLabel("Code that the device shows").waitFor();
  await look(page, "console-person");
  await docPicture(page, "person");
  await page.getByRole("button", { name: "Remove My iPhone X" }).click();
  await look(page, "console-remove");
  await page.keyboard.press("Escape");
  const open = async (name) => {
    await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name }).click();
    await page.getByRole("heading", { name, level: 1 }).waitFor();
  };
  await open("Policy");
  await page.getByLabel("Self-registration").selectOption("denied");
  await look(page, "console-policy");
  await open("API keys");
  await page.getByLabel("Name").fill("Help desk");
  await page.getByLabel("read people and devices").check();
  await page.getByRole("button", { name: "Create key" }).click();
  await page.locator("code.once").waitFor();
  await look(page, "console-keys");
  await open("Audit trail");
  await page.getByRole("row").nth(3).waitFor();
  await look(page, "console-audit");
  await open("Live");
  await look(page, "console-live-before");
  await visitor.close();
  assert.deepEqual(faults, []);
});
