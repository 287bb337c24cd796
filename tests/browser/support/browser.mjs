// Debian's chromium, and pages that watch themselves: a violated content security policy, a request to another origin or an
// error in a script fails the test that opened the page.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(new URL("../../../portal/package.json", import.meta.url));
const { chromium } = require("playwright-core");
export const axeSource = require("axe-core").source;

const pictures = process.env.WATCHWORD_PICTURES ?? fileURLToPath(new URL("../../../build/browser/", import.meta.url));
const patienceMs = 30_000; // a loaded machine

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    handleSIGTERM: false, // who is told to end ends, whatever the browser does; it goes with its pipe
    // Only our own pages are opened, often as root in a container, where chromium's sandbox does not start.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"],
  });
}

// A browser profile of its own with one page. `faults` is what must stay empty; close() checks it. `mayAsk`: another origin that
// the person is sent to, such as an OpenID provider.
export async function visit(browser, server, { mayAsk, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width: 1100, height: 900 },
    locale: "en-GB",
    colorScheme: "light",
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(patienceMs);
  const faults = [];
  await context.exposeBinding("tellViolation", (_, text) => faults.push(`policy violated: ${text}`));
  await context.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      window.tellViolation(`${event.violatedDirective} by ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`)));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== server.base && url.origin !== mayAsk && url.protocol !== "blob:" && url.protocol !== "data:") faults.push(`request to ${request.url()}`);
  });
  context.on("weberror", (error) => faults.push(`script: ${error.error().stack}`));
  context.on("console", (message) => {
    // A refused request is told there too; the tests look at refusals themselves.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(`console: ${message.text()}`);
  });
  const page = await context.newPage();
  return {
    context,
    page,
    faults,
    close: async () => {
      await context.close();
      if (faults.length) throw new Error(faults.join("\n"));
    },
  };
}

// Into the portal as that person, by a fresh link.
export async function enterPortal(browser, server, user, options) {
  const visitor = await visit(browser, server, options);
  await visitor.page.goto(await server.link(user));
  await visitor.page.getByRole("heading", { level: 1 }).waitFor();
  return visitor;
}

export async function enterConsole(browser, server, { key = server.admin, ...options } = {}) {
  const visitor = await visit(browser, server, options);
  await visitor.page.goto(`${server.base}/console/`);
  await visitor.page.getByLabel("API key").fill(key);
  await visitor.page.getByRole("button", { name: "Sign in" }).click();
  await visitor.page.getByRole("heading", { name: "People" }).waitFor();
  return visitor;
}

export async function picture(page, name, options = {}) {
  mkdirSync(pictures, { recursive: true });
  const file = join(pictures, `${name}.png`);
  await page.screenshot({ path: file, animations: "disabled", ...options });
  return file;
}

// What axe-core has against the page as it is shown now, in words; empty: nothing.
export async function accessibilityFaults(page) {
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join(" | ")}`);
}
