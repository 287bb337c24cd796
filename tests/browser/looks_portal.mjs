// Every page of the portal, as it looks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { enterPortal, launch, visit } from "./support/browser.mjs";
import { steady } from "./support/phone.mjs";
import { begin, codeField, registerButton, typeCode } from "./support/portal.mjs";
import { docPicture, faults, look } from "./support/looks.mjs";
import { Server } from "./support/server.mjs";

let server, browser;
before(async () => {
  server = await Server.start({ config: '[portal]\ncontact = "mfa@example.org, phone 1234"\n' });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

test("the portal's pages", { timeout: 200_000 }, async () => {
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
  await page.locator(".recovery-codes").waitFor();
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
