// Device configuration: from the secret to the first code.
import { useEffect, useRef, useState } from "preact/hooks";
import { serverClock } from "../shared/clock";
import { refusalOf } from "../shared/devices";
import { CodeField } from "../shared/fields";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Callout, PageTitle, problemText } from "../shared/parts";
import { readQr } from "../shared/qr";
import { onlookersId, QrReveal, SecretReveal } from "../shared/reveal";
import { goInstead } from "../shared/route";
import { api } from "./api";
import type { PortalPage } from "./app";
import { Apps } from "./apps";
import { CodeTime } from "./code_time";
import { flow } from "./state";
import { Steps } from "./steps";

// What the page needs to know of the device, from the answer that began it or, after a reload, from the list.
interface Pending {
  name: string;
  algorithm: string;
  digits: number;
  period: number;
  expiresAt: string;
}
type Ended = "expired" | "gone";

export function ConfigurationPage({ id, list, reload }: PortalPage & { id: string }) {
  const texts = useTexts();
  const [pending] = useState<Pending | null>(() => {
    const begun = flow.get().begun;
    const listed = list.devices.find((device) => device.id === id && device.status === "pending");
    const known = begun?.id === id ? begun : listed;
    if (!known) return null;
    const { name, algorithm, digits, period, expires_at } = known; // and nothing secret
    return { name, algorithm, digits, period, expiresAt: expires_at ?? "" };
  });
  const [ended, setEnded] = useState<Ended | null>(pending ? null : "gone");

  // Registered already, in another tab or before a reload: the list says so better than this page.
  useEffect(() => {
    const active = list.devices.find((device) => device.id === id && device.status === "active");
    if (active && !pending) void reload({ kind: "info", text: texts.portal.doneElsewhere }).then(() => goInstead());
  }, []);
  useEffect(() => {
    if (!pending?.expiresAt) return;
    const left = Math.min(Math.max(0, Date.parse(pending.expiresAt) - serverClock.now()), 2_000_000_000);
    const timer = setTimeout(() => setEnded("expired"), left);
    return () => clearTimeout(timer);
  }, [pending]);
  useEffect(() => {
    if (!ended) return;
    flow.drop();
    void reload();
  }, [ended]);

  if (ended || !pending) return <EndedPage why={ended ?? "gone"} />;
  const done = async (name: string) => {
    flow.drop();
    await reload({ kind: "good", text: fill(texts.portal.added, { name }) });
    goInstead();
  };
  const { begun } = flow.get();
  return (
    <div class="with-side">
      <section class="card">
        <Steps at={2} />
        <PageTitle title={texts.portal.configTitle} />
        <p>{fill(texts.portal.configLead, { name: pending.name })}</p>
        <ol class="tasks">
          <li>
            <h2>{texts.portal.stepApp}</h2>
            <p>{texts.portal.stepAppText}</p>
          </li>
          <li>
            <h2>{texts.portal.stepScan}</h2>
            <Callout kind="warn" id={onlookersId}>
              {texts.portal.onlookers}
            </Callout>
            <div class="ways">
              <Picture id={id} onEnd={setEnded} />
              <SecretReveal
                secret={begun?.id === id ? begun.secret : null}
                algorithm={pending.algorithm}
                digits={pending.digits}
                period={pending.period}
              />
            </div>
          </li>
          <li>
            <h2>{texts.portal.stepCode}</h2>
            <ConfirmForm id={id} pending={pending} onDone={done} onEnd={setEnded} reload={reload} />
          </li>
        </ol>
      </section>
      <Apps algorithm={pending.algorithm} digits={pending.digits} period={pending.period} />
    </div>
  );
}

function Picture({ id, onEnd }: { id: string; onEnd: (why: Ended) => void }) {
  const texts = useTexts();
  const language = useLanguage();
  const read = async () => {
    const begun = flow.get().begun;
    const answer = begun?.id === id && begun.qr ? { ok: true as const, value: begun.qr.svg } : await api.qr(id);
    if (answer.ok) {
      const picture = readQr(answer.value);
      return picture ? { picture } : { error: texts.shared.failedPlain };
    }
    const { status } = answer.problem;
    if (status !== 410 && status !== 404) return { error: problemText(answer.problem, texts, language) };
    onEnd(status === 410 ? "expired" : "gone");
    return null;
  };
  return <QrReveal read={read} />;
}

function ConfirmForm(props: {
  id: string;
  pending: Pending;
  onDone: (name: string) => Promise<void>;
  onEnd: (why: Ended) => void;
  reload: PortalPage["reload"];
}) {
  const { id, pending } = props;
  const texts = useTexts();
  const language = useLanguage();
  const [code, setCode] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const inFlight = useRef(false); // a second click comes before the next render

  const t = texts.portal;
  const words = { wrong: t.codeWrong, behind: t.codeBehind, ahead: t.codeAhead };
  const confirm = async (): Promise<string | null> => {
    const answer = await api.confirm(id, code);
    if (answer.ok) {
      if (answer.value.result === "rejected") return refusalOf(answer.value, words, language);
      await props.onDone(pending.name);
      return null;
    }
    switch (answer.problem.slug) {
      case "expired":
        props.onEnd("expired");
        return null;
      case "device_not_found":
      case "user_not_found":
        props.onEnd("gone");
        return null;
      case "not_pending":
        flow.drop();
        await props.reload({ kind: "info", text: texts.portal.doneElsewhere });
        goInstead();
        return null;
      case "code_length":
        return fill(texts.portal.codeShort, { digits: pending.digits });
      default:
        return problemText(answer.problem, texts, language);
    }
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (inFlight.current) return;
    setError(null);
    if (code.length !== pending.digits) {
      await Promise.resolve(); // the old message goes first, so that the same one is read aloud again
      return setError(fill(texts.portal.codeShort, { digits: pending.digits }));
    }
    inFlight.current = true;
    setBusy(true);
    setError(await confirm());
    inFlight.current = false;
    setBusy(false);
  };

  return (
    <form onSubmit={submit}>
      <CodeField
        label={texts.portal.codeLabel}
        digits={pending.digits}
        value={code}
        onValue={setCode}
        error={error}
        hint={<CodeTime period={pending.period} />}
      />
      <div class="actions">
        <a class="button" href="#/register">
          {texts.shared.back}
        </a>
        <button type="submit" class="button primary" aria-disabled={busy}>
          {busy ? texts.portal.submitting : texts.portal.submit}
        </button>
      </div>
    </form>
  );
}

function EndedPage({ why }: { why: Ended }) {
  const texts = useTexts();
  return (
    <section class="card narrow">
      <PageTitle title={why === "expired" ? texts.portal.expiredTitle : texts.portal.goneTitle} />
      <p>{why === "expired" ? texts.portal.expiredText : texts.portal.goneText}</p>
      <div class="actions">
        <a class="button" href="#/">
          {texts.portal.toDevices}
        </a>
        <a class="button primary" href="#/register">
          {texts.portal.startAgain}
        </a>
      </div>
    </section>
  );
}
