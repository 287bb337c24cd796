// An authenticator app: oathtool holds the secret, zbarimg reads QR codes as a camera does.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { pause } from "./waiting.mjs";

const periodS = 30;

export class Phone {
  constructor(secret) {
    this.secret = secret;
  }
  // What the app shows on a phone whose clock is off by that many seconds.
  code(clockOffsetS = 0) {
    const at = Math.floor(Date.now() / 1000) + clockOffsetS;
    return execFileSync("oathtool", ["--totp=SHA1", "-b", "-d", "6", "-s", `${periodS}s`, "--now", `@${at}`, "-"], {
      input: this.secret,
      encoding: "utf8",
    }).trim();
  }
  // No code of the hour around now.
  wrongCode() {
    const now = Math.floor(Date.now() / 1000);
    const codes = execFileSync("oathtool", ["--totp=SHA1", "-b", "-d", "6", "-w", "240", "--now", `@${now - 3600}`, "-"], {
      input: this.secret,
      encoding: "utf8",
    }).split("\n");
    let code = 271_828;
    while (codes.includes(String(code))) ++code;
    return String(code);
  }
}

export const phone = (secret) => new Phone(secret);

// The text of the QR code in a picture.
export function scan(file) {
  return execFileSync("zbarimg", ["-q", "--raw", "--nodbus", file], { encoding: "utf8" }).trim();
}
export function secretOf(uri) {
  return new URL(uri).searchParams.get("secret");
}

// Until the running step lasts at least that long: a code that is typed then is not late by accident.
export async function steady(roomS = 8) {
  const leftS = periodS - ((Date.now() / 1000) % periodS);
  if (leftS < roomS) await pause(leftS * 1000 + 50);
}
// Base32 of a secret that is known beforehand, for import.
export function madeSecret(seed) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = 0n;
  for (const byte of createHash("sha1").update(seed).digest()) bits = (bits << 8n) | BigInt(byte);
  let text = "";
  for (let at = 155n; at >= 0n; at -= 5n) text += alphabet[Number((bits >> at) & 31n)];
  return text;
}
