// The console's live page, over a server that verifies meanwhile.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessibilityFaults, enterConsole, launch, picture } from "./support/browser.mjs";
import { madeSecret, phone, steady } from "./support/phone.mjs";
import { Server } from "./support/server.mjs";
import { pause } from "./support/waiting.mjs";

const people = 2_000;
const known = phone(madeSecret("live"));

let server, browser;
before(async () => {
  const rows = Array.from({ length: people }, (_, i) => `live${i},Phone,${known.secret},,,`);
  server = await Server.start({ people: `user,name,secret,algorithm,digits,period\n${rows.join("\n")}\n` });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const panel = (page, name) => page.getByRole("region", { name, exact: true });
// The figure that stands over the chart now, as a number; null: none yet.
async function figure(page, panelName, label) {
  const text = await panel(page, panelName).locator("dl.figures > div").filter({ hasText: new RegExp(`^${label}`) }).locator("dd").textContent();
  const number = /^[\d.,]+/.exec(text)?.[0].replaceAll(",", "");
  return number === undefined ? null : Number(number);
}

test("verifications per second by result, percentiles of latency and of the group commit are drawn from the server's metrics", { timeout: 90_000 }, async () => {
  await steady(20);
  const code = known.code();
  const wrong = known.wrongCode();
  let stop = false;
  let asked = 0;
  const load = (async () => {
    for (let i = 0; i < people && !stop; ++i) {
      await server.verify(`live${i}`, code);
      if (i % 4 === 0) await server.verify(`live${i}`, wrong);
      if (i % 8 === 0) await server.verify(`nobody${i}`, code);
      ++asked;
      await pause(8);
    }
  })();
  const visitor = await enterConsole(browser, server, { viewport: { width: 1440, height: 1000 } });
  const { page } = visitor;
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "Live" }).click();
  await page.waitForFunction(() => document.querySelectorAll(".chart canvas").length === 3);
  await pause(9_000);
  const rates = {};
  for (const name of ["accepted", "rejected", "replayed", "locked", "no_device", "failed"]) {
    rates[name] = await figure(page, "Verifications per second", name);
  }
  assert.ok(rates.accepted > 1 && rates.rejected > 0 && rates.no_device > 0, JSON.stringify(rates));
  assert.ok(rates.accepted > 2 * rates.rejected && rates.failed === 0, JSON.stringify(rates));
  for (const name of ["Time to answer a verification", "Group commit"]) {
    const [p50, p99] = [await figure(page, name, "p50"), await figure(page, name, "p99")];
    assert.ok(p50 > 0 && p50 <= p99 && p99 < 5_000, `${name}: ${p50}, ${p99}`);
  }
  // Something is drawn: the canvas has pixels of the first line's colour.
  const drawn = await page.evaluate(() => {
    const canvas = document.querySelector(".chart canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let pixels = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (Math.abs(data[at] - 0x0f) < 24 && Math.abs(data[at + 1] - 0x6d) < 24 && Math.abs(data[at + 2] - 0x66) < 24 && data[at + 3] > 200) ++pixels;
    }
    return pixels;
  });
  assert.ok(drawn > 50, `${drawn} pixels`);
  await picture(page, "live-1440", { fullPage: true });
  await page.setViewportSize({ width: 980, height: 700 });
  await pause(500);
  await picture(page, "doc-live", { fullPage: true });
  await page.emulateMedia({ colorScheme: "dark" });
  await pause(500);
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.setViewportSize({ width: 320, height: 700 });
  await pause(500);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await picture(page, "live-320-dark", { fullPage: true });
  await page.setViewportSize({ width: 1440, height: 1000 });
  await page.emulateMedia({ colorScheme: "light" });

  // The same as a table, for those who do not see a chart.
  await panel(page, "Verifications per second").getByRole("button", { name: "Table" }).click();
  const rows = panel(page, "Verifications per second").getByRole("row");
  assert.ok((await rows.count()) >= 3);
  await page.getByRole("button", { name: "Pause" }).click();
  const shown = await rows.count();
  assert.deepEqual(await accessibilityFaults(page), []);
  await pause(3_000);
  assert.equal(await rows.count(), shown, "nothing comes while it is held");
  await page.getByRole("button", { name: "Resume" }).click();
  stop = true;
  await load;
  assert.ok(asked > 100);
  await visitor.close();
});

test("what came before the page was opened is there when it opens, and after a reload", { timeout: 90_000 }, async () => {
  await steady();
  for (let i = 0; i < 20; ++i) await server.verify("nobody at all", "000000");
  await pause(6_000); // until the server has read it
  const visitor = await enterConsole(browser, server);
  const { page } = visitor;
  await page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "Live" }).click();
  const rate = panel(page, "Verifications per second");
  for (const opened of ["first", "again"]) {
    await rate.getByRole("button", { name: "Table" }).click();
    // The newest rows, at once: most of what is there came before this page, and the twenty questions are among it.
    await rate.getByRole("row").nth(2).waitFor();
    const nobody = await rate.locator("tbody tr td:nth-child(6)").allTextContents();
    assert.ok(nobody.some((text) => Number(text) > 1), `${opened}: ${nobody}`);
    if (opened === "first") {
      await page.reload();
      await page.getByRole("heading", { name: "Live" }).waitFor();
    }
  }
  await visitor.close();
});

test("without the scope metrics the page says so", async () => {
  const { key } = await server.rest("POST", "/v1/api-keys", { name: "reader", scopes: ["read"] });
  const visitor = await enterConsole(browser, server, { key });
  await visitor.page.getByRole("navigation", { name: "Sections" }).getByRole("link", { name: "Live" }).click();
  await visitor.page.getByRole("alert").getByText("The server's figures did not arrive").waitFor();
  await visitor.close();
});
