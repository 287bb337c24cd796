// One language at a time, chosen by the reader or by the browser; all texts stand in texts/.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { de } from "../texts/de";
import { en } from "../texts/en";

export type Texts = typeof en;
export type LanguageName = "en" | "de";
export const languages: Record<LanguageName, Texts> = { en, de };

const storageKey = "watchword.language"; // a preference, the only thing this page stores

export function chosenLanguage(): LanguageName {
  const wanted = [readStored() ?? "", ...navigator.languages];
  for (const tag of wanted) {
    const name = tag.slice(0, 2).toLowerCase();
    if (name === "en" || name === "de") return name;
  }
  return "en";
}

export function rememberLanguage(name: LanguageName): void {
  try {
    localStorage.setItem(storageKey, name);
  } catch {
    // Storage may be off; the choice then lasts as long as the page.
  }
}

function readStored(): string | null {
  try {
    return localStorage.getItem(storageKey);
  } catch {
    return null;
  }
}

export const LanguageContext = createContext<LanguageName>("en");

export function useTexts(): Texts {
  return languages[useContext(LanguageContext)];
}
export function useLanguage(): LanguageName {
  return useContext(LanguageContext);
}

// "{name}" in a text, filled in.
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}
