// Signing in to the console, and which page is open.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { http as portalHttp, type PortalConfig } from "../portal/api";
import { Field } from "../shared/fields";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Busy, Note, PageTitle, problemText } from "../shared/parts";
import { hrefOf, useRoute } from "../shared/route";
import { Shell } from "../shared/shell";
import { takeSignInFailure } from "../shared/sign_in";
import { dateTime } from "../shared/times";
import { api, http, type ConsoleSession } from "./api";
import { AuditPage } from "./audit_page";
import { KeysPage } from "./keys_page";
import { LivePage } from "./live_page";
import { PolicyPage } from "./policy_page";
import { UserPage } from "./user_page";
import { UsersPage } from "./users_page";

const pages = ["users", "policy", "keys", "audit", "live"] as const;

export function App() {
  const texts = useTexts();
  const [session, setSession] = useState<ConsoleSession | null>(null);
  const [looking, setLooking] = useState(true);
  const [over, setOver] = useState(false);

  const enter = useCallback((entered: ConsoleSession) => {
    http.onSessionEnd = () => {
      http.onSessionEnd = () => undefined;
      setOver(true);
      setSession(null);
    };
    setOver(false);
    setSession(entered);
  }, []);
  useEffect(() => {
    void api.session().then((answer) => {
      if (answer.ok) enter(answer.value);
      setLooking(false);
    });
  }, []);
  const leave = async () => {
    http.onSessionEnd = () => undefined;
    await api.leave();
    setSession(null);
  };

  if (session) return <Inside session={session} onLeave={() => void leave()} />;
  return <Shell title={texts.console.title}>{looking ? <Busy /> : <SignIn over={over} onEnter={enter} />}</Shell>;
}

function SignIn({ over, onEnter }: { over: boolean; onEnter: (session: ConsoleSession) => void }) {
  const texts = useTexts();
  const language = useLanguage();
  const input = useRef<HTMLInputElement>(null);
  const [error, setError] = useState<string | null>(null);
  const [oidc, setOidc] = useState(false);
  const [failure] = useState(takeSignInFailure);
  const busy = useRef(false);
  useEffect(() => {
    void portalHttp.get<PortalConfig>("/config").then((answer) => answer.ok && setOidc(answer.value.oidc));
  }, []);
  // The key is read from the field once, and the field is emptied: no copy of it stays with the page.
  const submit = async (event: Event) => {
    event.preventDefault();
    const field = input.current;
    const key = field?.value.trim() ?? "";
    if (!field || key === "" || busy.current) return field?.focus();
    busy.current = true;
    setError(null);
    const answer = await api.enter(key);
    busy.current = false;
    field.value = "";
    if (answer.ok) return onEnter(answer.value);
    const refused = answer.problem.status === 401 || answer.problem.status === 400 || answer.problem.status === 403;
    setError(refused ? texts.console.keyRefused : problemText(answer.problem, texts, language));
    field.focus();
  };
  return (
    <section class="card narrow">
      <PageTitle title={texts.console.signIn} />
      {failure && <Note kind="bad">{texts.shared.signInFailed[failure]}</Note>}
      {over && <Note kind="info">{texts.console.sessionOver}</Note>}
      <p>{texts.console.signInLead}</p>
      <form onSubmit={submit}>
        <Field label={texts.console.apiKey} error={error}>
          {({ id, describedBy, invalid }) => (
            <input
              ref={input}
              id={id}
              type="password"
              autocomplete="off"
              spellcheck={false}
              aria-describedby={describedBy || undefined}
              aria-invalid={invalid}
            />
          )}
        </Field>
        <div class="actions">
          <button type="submit" class="button primary">
            {texts.console.signIn}
          </button>
          {oidc && (
            <a class="button" href="/portal/oidc/login?for=console">
              {texts.portal.oidc}
            </a>
          )}
        </div>
      </form>
    </section>
  );
}

function Inside({ session, onLeave }: { session: ConsoleSession; onLeave: () => void }) {
  const texts = useTexts();
  const language = useLanguage();
  const route = useRoute();
  const page = route[0] ?? "users";
  return (
    <Shell
      wide
      title={texts.console.title}
      who={fill(texts.console.signedIn, { name: session.name, until: dateTime(session.expires_at, language) })}
      nav={
        <nav class="nav" aria-label={texts.console.nav}>
          {pages.map((name) => (
            <a key={name} href={hrefOf(name)} aria-current={page === name ? "page" : undefined}>
              {texts.console[name]}
            </a>
          ))}
          <button type="button" class="link" onClick={onLeave}>
            {texts.shared.signOut}
          </button>
        </nav>
      }
    >
      <Page route={route} />
    </Shell>
  );
}

function Page({ route }: { route: string[] }) {
  switch (route[0]) {
    case "policy":
      return <PolicyPage />;
    case "keys":
      return <KeysPage />;
    case "audit":
      return <AuditPage />;
    case "live":
      return <LivePage />;
    default:
      return route[1] === undefined ? <UsersPage /> : <UserPage key={route[1]} user={route[1]} />;
  }
}

// A refusal on a page of the console; the server says which scope is wanting.
export function Refused({ problem }: { problem: Problem }) {
  const texts = useTexts();
  const language = useLanguage();
  return (
    <Note kind="bad">
      {problem.status === 403 ? fill(texts.console.forbidden, { detail: problem.detail }) : problemText(problem, texts, language)}
    </Note>
  );
}
