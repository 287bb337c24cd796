// Entering the portal, and which page is open.
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Busy, Note, PageTitle, problemText, type NoteKind } from "../shared/parts";
import { goInstead, hrefOf, useRoute } from "../shared/route";
import { Shell } from "../shared/shell";
import { takeSignInFailure, type SignInFailure } from "../shared/sign_in";
import { api, http, type DeviceList, type PortalConfig, type Session } from "./api";
import { CodePage } from "./code_page";
import { ConfigurationPage } from "./configuration_page";
import { DevicesPage } from "./devices_page";
import { NamePage } from "./name_page";
import { RecoveryPage } from "./recovery_page";
import { flow } from "./state";

export interface Said {
  kind: NoteKind;
  text: string;
}

// What every page of the portal gets.
export interface PortalPage {
  config: PortalConfig;
  session: Session;
  list: DeviceList;
  // Reads the list again; what is said shows on the page that comes next.
  reload: (said?: Said) => Promise<void>;
}

type Outside = "no_session" | "link" | "signed_out" | SignInFailure;
type Entry = { at: "entering" } | { at: "out"; why: Outside } | { at: "in"; session: Session } | { at: "failed"; problem: Problem };

// The link's token leaves the address bar, and so the history, before anything else happens.
function takeLink(): string | null {
  const token = /^#link=([\w-]+)$/.exec(location.hash)?.[1] ?? null;
  if (token) history.replaceState(null, "", hrefOf());
  return token;
}

async function enter(): Promise<Entry> {
  const failure = takeSignInFailure();
  if (failure) return { at: "out", why: failure };
  const link = takeLink();
  if (link) {
    const entered = await api.enterByLink(link);
    if (entered.ok) return { at: "in", session: entered.value };
    if (entered.problem.status === 0 || entered.problem.status >= 500) return { at: "failed", problem: entered.problem };
  }
  const session = await api.session();
  if (session.ok) return { at: "in", session: session.value };
  if (session.problem.status !== 401) return { at: "failed", problem: session.problem };
  const proxied = link ? session : await api.enterByProxy();
  return proxied.ok ? { at: "in", session: proxied.value } : { at: "out", why: link ? "link" : "no_session" };
}

export function App() {
  const texts = useTexts();
  const [config, setConfig] = useState<PortalConfig>({ oidc: false, issuer: "", contact: null });
  const [entry, setEntry] = useState<Entry>({ at: "entering" });

  const begin = useCallback(() => {
    setEntry({ at: "entering" });
    void api.config().then((answer) => answer.ok && setConfig(answer.value));
    void enter().then((entered) => {
      http.onSessionEnd = () => {
        flow.drop();
        setEntry({ at: "out", why: "no_session" });
      };
      setEntry(entered);
    });
  }, []);
  useEffect(begin, []);
  useEffect(() => {
    // A page put aside by the browser must not keep a secret; coming back to it starts over.
    const leave = () => flow.drop();
    const back = (event: PageTransitionEvent) => event.persisted && location.reload();
    // A link opened in this very tab changes nothing but the fragment.
    const link = () => location.hash.startsWith("#link=") && begin();
    addEventListener("pagehide", leave);
    addEventListener("pageshow", back);
    addEventListener("hashchange", link);
    return () => {
      removeEventListener("pagehide", leave);
      removeEventListener("pageshow", back);
      removeEventListener("hashchange", link);
    };
  }, []);

  if (entry.at === "in") {
    return (
      <Inside
        config={config}
        session={entry.session}
        onLeave={() => {
          flow.drop();
          http.onSessionEnd = () => undefined;
          void api.leave().then(() => {
            goInstead();
            setEntry({ at: "out", why: "signed_out" });
          });
        }}
      />
    );
  }
  return (
    <Shell title={texts.portal.title}>
      <OutsidePage entry={entry} config={config} onRetry={begin} />
    </Shell>
  );
}

function OutsidePage({ entry, config, onRetry }: { entry: Exclude<Entry, { at: "in" }>; config: PortalConfig; onRetry: () => void }) {
  const texts = useTexts();
  const language = useLanguage();
  if (entry.at === "entering") return <p class="busy">{texts.portal.entering}</p>;
  if (entry.at === "failed") {
    return (
      <section class="card narrow">
        <PageTitle title={texts.portal.title} />
        <Note kind="bad">{problemText(entry.problem, texts, language)}</Note>
        <button type="button" class="button primary" onClick={onRetry}>
          {texts.shared.retry}
        </button>
      </section>
    );
  }
  const { why } = entry;
  const t = texts.portal;
  const [title, text] =
    why === "link" ? [t.linkRefused, t.linkRefusedText]
    : why === "signed_out" ? [texts.shared.signOut, t.signedOut]
    : config.oidc ? [t.oidcTitle, t.oidcText]
    : [t.noSession, t.noSessionText];
  const failure = why in texts.shared.signInFailed ? texts.shared.signInFailed[why as SignInFailure] : null;
  return (
    <section class="card narrow">
      <PageTitle title={title} />
      {failure && <Note kind="bad">{failure}</Note>}
      <p>{text}</p>
      {config.oidc && (
        <a class="button primary" href="/portal/oidc/login">
          {t.oidc}
        </a>
      )}
      {config.contact && why !== "signed_out" && <p>{fill(t.contactAt, { contact: config.contact })}</p>}
    </section>
  );
}

function Inside({ config, session, onLeave }: { config: PortalConfig; session: Session; onLeave: () => void }) {
  const texts = useTexts();
  const language = useLanguage();
  const route = useRoute();
  const [list, setList] = useState<DeviceList | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, setSaid] = useState<Said | null>(null);

  const reload = useCallback(async (words?: Said) => {
    const answer = await api.devices();
    setProblem(answer.ok ? null : answer.problem);
    if (answer.ok) setList(answer.value);
    if (words) setSaid(words);
  }, []);
  useEffect(() => void reload(), []);
  const page = route[0] ?? "";
  const inFlow = page === "register" || page === "configure" || page === "code";
  useEffect(() => {
    if (!inFlow) flow.drop();
    if (page !== "") setSaid(null);
  }, [page]);

  // The address may say so already (a page that shows something once gives its own up): then nobody tells the router.
  const home = () => {
    void reload();
    if (location.hash === hrefOf()) dispatchEvent(new HashChangeEvent("hashchange"));
  };

  return (
    <Shell
      title={texts.portal.title}
      who={fill(texts.portal.signedInAs, { user: session.user })}
      nav={
        <nav class="nav" aria-label={texts.portal.title}>
          <a href={hrefOf()} aria-current={page === "" ? "page" : undefined} onClick={home}>
            {texts.portal.devices}
          </a>
          <button type="button" class="link" onClick={onLeave}>
            {texts.shared.signOut}
          </button>
        </nav>
      }
    >
      {said && page === "" && <Note kind={said.kind}>{said.text}</Note>}
      {problem && (
        <Note kind="bad">
          {problemText(problem, texts, language)}{" "}
          <button type="button" class="link" onClick={() => void reload()}>
            {texts.shared.retry}
          </button>
        </Note>
      )}
      {list ? <Page route={route} page={{ config, session, list, reload }} /> : !problem && <Busy />}
    </Shell>
  );
}

function Page({ route, page }: { route: string[]; page: PortalPage }) {
  switch (route[0]) {
    case "register":
      return <NamePage {...page} />;
    case "configure":
      return <ConfigurationPage key={route[1] ?? ""} id={route[1] ?? ""} {...page} />;
    case "code":
      return <CodePage {...page} />;
    case "recovery":
      return <RecoveryPage {...page} />;
    default:
      return <DevicesPage {...page} />;
  }
}

// Why nobody registers a device here at the moment, and the way to the person who can change that.
export function RegistrationRefused({ list, config }: { list: DeviceList; config: PortalConfig }) {
  const texts = useTexts().portal;
  const limit = list.max_devices === 1 ? texts.reasonLimitOne : fill(texts.reasonLimit, { max: list.max_devices });
  return (
    <>
      {list.reason === "device_limit" ? limit : texts.reasonPolicy}{" "}
      <strong>{config.contact ? fill(texts.contactAt, { contact: config.contact }) : texts.contact + "."}</strong>
    </>
  );
}
