// Times as people say them. `Intl` knows both languages; nothing is translated by hand.

// Where the reader's browser knows the language by region, times are written as there: 15:50 in Britain, 3:50 PM in America.
export function localeOf(language: string): string {
  const wanted = globalThis.navigator?.languages ?? [];
  return wanted.find((tag) => tag === language || tag.startsWith(`${language}-`)) ?? language;
}

export function dateTime(time: string, language: string): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? time : at.toLocaleString(localeOf(language), { dateStyle: "medium", timeStyle: "short" });
}

export function exactTime(time: string, language: string): string {
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? time : at.toLocaleString(localeOf(language), { dateStyle: "medium", timeStyle: "medium" });
}

const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

// "3 minutes ago", "yesterday".
export function ago(time: string, nowMs: number, language: string): string {
  const seconds = (Date.parse(time) - nowMs) / 1000;
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  for (const [unit, size] of units) {
    if (Math.abs(seconds) >= size) return words.format(Math.trunc(seconds / size), unit);
  }
  return words.format(0, "second");
}

// "2 minutes", "45 seconds", "1 hour": rounded to what matters, never to nothing.
export function duration(seconds: number, language: string): string {
  const size = Math.abs(seconds);
  const minutes = Math.round(size / 60);
  const [value, unit] =
    size < 90 ? [Math.max(1, Math.round(size)), "second"] : minutes < 90 && minutes !== 60 ? [minutes, "minute"]
    : size < 129_600 ? [Math.round(size / 3_600), "hour"] : [Math.round(size / 86_400), "day"];
  return new Intl.NumberFormat(language, { style: "unit", unit: unit as string, unitDisplay: "long" }).format(value as number);
}
