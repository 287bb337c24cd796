// Every page of the console, as it looks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enterConsole, launch, visit } from "./support/browser.mjs";
import { phone } from "./support/phone.mjs";
import { docPicture, faults, look } from "./support/looks.mjs";
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

test("the console's pages", { timeout: 200_000 }, async () => {
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
