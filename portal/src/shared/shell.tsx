// What surrounds every page: skip link, header, footer with the language, and the announcer.
import { render, type ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import {
  chosenLanguage, LanguageContext, languages, rememberLanguage, useTexts, type LanguageName,
} from "./language";
import { Mark } from "./parts";

const languageNames: Record<LanguageName, string> = { en: "English", de: "Deutsch" };

export function mount(App: () => ComponentChildren): void {
  const root = document.getElementById("app");
  if (!root) throw new Error("the page has no place for the application");
  render(<Languages App={App} />, root);
}

let changeLanguage: (name: LanguageName) => void = () => undefined;

function Languages({ App }: { App: () => ComponentChildren }) {
  const [language, setLanguage] = useState(chosenLanguage);
  document.documentElement.lang = language;
  changeLanguage = (name) => {
    rememberLanguage(name);
    setLanguage(name);
  };
  return (
    <LanguageContext.Provider value={language}>
      <App />
    </LanguageContext.Provider>
  );
}

export function Shell(props: { title: string; nav?: ComponentChildren; who?: ComponentChildren; wide?: boolean; children: ComponentChildren }) {
  const texts = useTexts();
  return (
    <>
      <a
        class="skip"
        href="#content"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("content")?.focus();
        }}
      >
        {texts.shared.skip}
      </a>
      <header class="top">
        <div class={props.wide ? "bar wide" : "bar"}>
          <span class="brand">
            <Mark />
            <span>{texts.shared.product}</span>
            <span class="brand-title">{props.title}</span>
          </span>
          {props.nav}
        </div>
      </header>
      <main id="content" tabIndex={-1} class={props.wide ? "wide" : ""}>
        {props.children}
      </main>
      <footer class="bottom">
        <div class={props.wide ? "bar wide" : "bar"}>
          <span class="who">{props.who}</span>
          <LanguageChoice />
        </div>
      </footer>
    </>
  );
}

function LanguageChoice() {
  const texts = useTexts();
  return (
    <label class="language">
      <span>{texts.shared.language}</span>
      <select
        value={document.documentElement.lang}
        onChange={(event) => changeLanguage(event.currentTarget.value === "de" ? "de" : "en")}
      >
        {(Object.keys(languages) as LanguageName[]).map((name) => (
          <option key={name} value={name} lang={name}>
            {languageNames[name]}
          </option>
        ))}
      </select>
    </label>
  );
}
