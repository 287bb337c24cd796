// My devices: names, removal with its warning, recovery codes.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { enterPortal, launch } from "./support/browser.mjs";
import { phone, steady } from "./support/phone.mjs";
import { begin, prove, registerButton, typeCode } from "./support/portal.mjs";
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

// Signed in as somebody with that device, whose code was given lately.
async function enterWithDevice(user, name, options) {
  const visitor = await enterPortal(browser, server, user, options);
  const app = await begin(visitor.page, name);
  await steady();
  await typeCode(visitor.page, app.code());
  await visitor.page.getByText(`“${name}” is registered`).waitFor();
  return { ...visitor, app };
}

test("a device is renamed, with the keyboard too, and a name that is taken is refused", async () => {
  const { page, close } = await enterWithDevice("rename", "Phone");
  await begin(page, "Tablet");
  await page.getByRole("link", { name: "My devices" }).click();
  await page.getByRole("button", { name: "Rename Phone" }).click();
  assert.equal(await page.evaluate(() => getSelection()?.toString() || document.activeElement.value), "Phone");
  await page.keyboard.type("Tablet");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("There is a device with that name already.").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("button", { name: "Rename Phone" }).evaluate((button) => button === document.activeElement), true);
  await page.keyboard.press("Enter");
  await page.getByLabel("Device name").fill("My phone");
  await page.keyboard.press("Enter");
  await page.getByText("Renamed to “My phone”.").waitFor();
  const { devices } = await server.rest("GET", "/v1/users/rename/devices");
  assert.deepEqual(devices.map(({ name }) => name).sort(), ["My phone", "Tablet"]);
  await close();
});

test("removal asks first, and warns before the last device", async () => {
  const { page, app, close } = await enterWithDevice("remove", "Phone");
  const second = await begin(page, "Tablet");
  await typeCode(page, second.code());
  await page.getByText("“Tablet” is registered").waitFor();
  await page.getByRole("button", { name: "Remove Tablet" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Its codes stop working at once.").waitFor();
  assert.equal(await dialog.getByText("This is your last device.").count(), 0);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await page.getByRole("button", { name: "Remove Tablet" }).evaluate((button) => button === document.activeElement), true);
  await page.getByRole("button", { name: "Remove Tablet" }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.getByText("“Tablet” was removed.").waitFor();
  assert.equal((await server.verify("remove", second.code(30))).result, "rejected");
  await page.getByRole("button", { name: "Remove Phone" }).click();
  await dialog.getByText("This is your last device.").waitFor();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await page.getByText("No device yet").waitFor();
  assert.equal((await server.verify("remove", app.code(30))).result, "no_device");
  await close();
});

test("a removal waits for a code of the device, and then asks as before", async () => {
  await steady();
  const app = await server.register("stepup", "Phone", phone);
  const { page, close } = await enterPortal(browser, server, "stepup");
  await page.getByRole("button", { name: "Remove Phone" }).click();
  await prove(page, app.code(30));
  await page.getByRole("dialog").getByText("This is your last device.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("“Phone” was removed.").waitFor();
  await close();
});

test("recovery codes are shown once; they are copied, downloaded, printed, and replaced after a question", async () => {
  const { page, close } = await enterWithDevice("codes", "Phone", { permissions: ["clipboard-read", "clipboard-write"], acceptDownloads: true });
  await page.getByText("You have none.").waitFor();
  await page.getByRole("button", { name: "Make recovery codes" }).click();
  await page.locator(".recovery-codes").waitFor();
  const codes = await page.locator(".recovery-codes code").allTextContents();
  assert.equal(codes.length, 10);
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), codes.join("\n"));
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
  const text = readFileSync(await download.path(), "utf8");
  assert.equal(download.suggestedFilename(), "watchword-recovery-codes.txt");
  for (const code of codes) assert.ok(text.includes(code));
  await page.evaluate(() => (window.print = () => (window.printed = true)));
  await page.getByRole("button", { name: "Print" }).click();
  assert.equal(await page.evaluate(() => window.printed), true);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.getByRole("button", { name: "Print" }).isVisible(), false);
  assert.equal(await page.locator(".recovery-codes").isVisible(), true);
  await page.emulateMedia({ media: "screen" });

  // A reload leads to the list: it neither shows them again nor makes new ones.
  await page.reload();
  await page.getByText("10 codes left").waitFor();
  assert.equal((await server.verify("codes", codes[3])).result, "accepted");
  await page.reload();
  await page.getByText("9 codes left").waitFor();
  await page.getByRole("button", { name: "Make new recovery codes" }).click();
  await page.getByRole("dialog").getByText("The codes that you have now stop working.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Make new recovery codes" }).click();
  await page.getByRole("button", { name: "I have kept them" }).click();
  await page.getByText("10 codes left").waitFor();
  assert.equal((await server.verify("codes", codes[4])).result, "rejected");
  await page.goBack();
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.equal(await page.locator(".recovery-codes").count(), 0);
  await close();
});

test("a device that an administrator disabled says so, and its code counts for nothing", async () => {
  await steady();
  const app = await server.register("disabled", "Phone", phone);
  await server.rest("PATCH", `/v1/users/disabled/devices/${app.id}`, { enabled: false });
  const { page, close } = await enterPortal(browser, server, "disabled");
  await page.getByText("Disabled by your administrator").waitFor();
  await registerButton(page).click();
  await prove(page, app.code(30));
  await page.getByRole("alert").waitFor();
  await close();
});
