// What people type and read: codes and secret keys.

// The digits of a typed or pasted code, whatever separates them; full-width digits become plain ones.
export function codeDigits(text: string, digits: number): string {
  return text.normalize("NFKC").replace(/[^0-9]/g, "").slice(0, digits);
}

// "JBSWY3DPEHPK3PXP" → "JBSW Y3DP EHPK 3PXP": a key is typed more safely in fours.
export function inFours(secret: string): string {
  return secret.match(/.{1,4}/g)?.join(" ") ?? "";
}

// Recovery codes keep their letters and dashes; only blanks around and within are the typist's.
export function recoveryText(text: string): string {
  return text.normalize("NFKC").replace(/\s+/g, "").trim();
}
