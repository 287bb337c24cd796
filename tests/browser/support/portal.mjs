// What people do in the portal again and again.
import { phone } from "./phone.mjs";

export const registerButton = (page) => page.getByRole("button", { name: "Register MFA device" });
export const codeField = (page) => page.locator("input.code");

export async function typeCode(page, code) {
  await codeField(page).fill(code);
  await page.getByRole("button", { name: "Register MFA device" }).click();
}

// As far as Device configuration; returns the phone that holds the secret shown there.
export async function begin(page, name) {
  await registerButton(page).click();
  await page.getByLabel("Device name").fill(name);
  await page.getByRole("button", { name: "Next" }).click();
  return appOf(page);
}
export async function appOf(page) {
  await page.getByRole("heading", { name: "Device configuration" }).waitFor();
  await page.getByRole("button", { name: "Show secret key" }).click();
  return phone((await page.locator(".secret-key").textContent()).replaceAll(" ", ""));
}
// The page that asks for a code of an existing device.
export async function prove(page, code) {
  await page.getByRole("heading", { name: "Is it you?" }).waitFor();
  await codeField(page).fill(code);
  await page.getByRole("button", { name: "Continue" }).click();
}
