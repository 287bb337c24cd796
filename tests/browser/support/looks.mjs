// A page looked at: in light and dark, at three widths and in both languages. Nothing for axe-core to find fault with, nothing
// that has to be scrolled sideways, and a picture of each for people to look at (build/browser/).
import { accessibilityFaults, picture } from "./browser.mjs";

const widths = [320, 768, 1440];

// What was found, of all pages that were looked at.
export const faults = [];

async function setLanguage(page, language) {
  await page.locator("footer select").selectOption(language);
  await page.waitForFunction((wanted) => document.documentElement.lang === wanted, language);
}

// The page as it stands, at every width in both themes; German at the narrowest, where words are longest.
export async function look(page, name) {
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
    if ((await page.locator(".save-bar").count()) > 0) {
      // As high as the page: what keeps to the bottom of the window then stands there.
      await page.setViewportSize({ width, height: await page.evaluate(() => document.documentElement.scrollHeight) });
    }
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
export async function docPicture(page, name) {
  await page.setViewportSize({ width: 980, height: 600 });
  await page.evaluate(() => document.activeElement?.blur());
  await picture(page, `doc-${name}`, { fullPage: true });
}
