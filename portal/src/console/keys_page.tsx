// API keys: listed, rotated and revoked. A key itself is shown once, when it is made.
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Confirm } from "../shared/dialog";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts, type Texts } from "../shared/language";
import { Busy, Note, Once, PageTitle, Time } from "../shared/parts";
import { duration } from "../shared/times";
import { api, type ApiKey } from "./api";
import { Refused } from "./app";
import { DataTable } from "./data_table";
import { NewKey } from "./new_key";

const overlapS = 86_400; // how long a rotated key's old secret still counts

type Asking = { what: "revoke" | "rotate"; key: ApiKey } | null;

export function KeysPage() {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [keys, setKeys] = useState<ApiKey[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [asking, setAsking] = useState<Asking>(null);
  const [made, setMade] = useState<{ name: string; key: string } | null>(null);
  const load = useCallback(async () => {
    const answer = await api.keys();
    setProblem(answer.ok ? null : answer.problem);
    if (answer.ok) setKeys(answer.value.api_keys);
  }, []);
  useEffect(() => void load(), []);

  const revoke = async (key: ApiKey) => {
    const answer = await api.revokeKey(key.id);
    setAsking(null);
    setSaid(null);
    await load();
    if (answer.ok) setSaid(fill(t.revoked, { name: key.name }));
    else setProblem(answer.problem);
  };
  const rotate = async (key: ApiKey) => {
    const answer = await api.rotateKey(key.id, overlapS);
    setAsking(null);
    setSaid(null);
    await load();
    if (answer.ok) setMade({ name: key.name, key: answer.value.key });
    else setProblem(answer.problem);
  };
  // What the server tells of a key's life; an older one tells less.
  const lives = Boolean(keys?.some((key) => key.last_used_at !== undefined));

  return (
    <>
      <PageTitle title={t.keys} />
      <p class="lead">{t.keysLead}</p>
      {said && <Note kind="good">{said}</Note>}
      {problem && <Refused problem={problem} />}
      {made && <ShownOnce name={made.name} secret={made.key} />}
      {!keys && !problem && <Busy />}
      {keys && (
        <DataTable
          label={t.keys}
          columns={[
            { title: t.keyName },
            { title: t.scopes },
            { title: t.created },
            ...(lives ? [{ title: t.lastUsed }, { title: t.expires }] : []),
            { title: t.actions },
          ]}
          rows={keys.map((key) => ({ key: key.id, cells: cellsOf(key, lives, texts, (what) => setAsking({ what, key })) }))}
        />
      )}
      {keys && (
        <NewKey
          lives={lives}
          onMade={(fresh) => {
            setMade(fresh);
            void load();
          }}
        />
      )}
      {asking?.what === "revoke" && (
        <Confirm
          title={fill(t.revokeTitle, { name: asking.key.name })}
          action={t.revoke}
          danger
          onYes={() => revoke(asking.key)}
          onClose={() => setAsking(null)}
        >
          <p>{t.revokeText}</p>
        </Confirm>
      )}
      {asking?.what === "rotate" && (
        <Confirm
          title={fill(t.rotateTitle, { name: asking.key.name })}
          action={t.rotate}
          onYes={() => rotate(asking.key)}
          onClose={() => setAsking(null)}
        >
          <p>{fill(t.rotateText, { time: duration(overlapS, language) })}</p>
        </Confirm>
      )}
    </>
  );
}

function cellsOf(key: ApiKey, lives: boolean, texts: Texts, onAsk: (what: "revoke" | "rotate") => void): ComponentChildren[] {
  const t = texts.console;
  const { never } = texts.shared;
  const life = [
    key.last_used_at ? <Time at={key.last_used_at} relative /> : never,
    <>
      {key.expired && <span class="badge bad">{t.expired}</span>} {key.expires_at ? <Time at={key.expires_at} /> : never}
    </>,
  ];
  return [
    key.name,
    <>
      {key.scopes.join(", ")}
      {key.address_ranges && key.address_ranges.length > 0 && <div class="hint">{key.address_ranges.join(", ")}</div>}
    </>,
    <Time at={key.created_at} />,
    ...(lives ? life : []),
    <div class="actions">
      {lives && (
        <button type="button" class="button small" aria-label={fill(t.rotateOf, { name: key.name })} onClick={() => onAsk("rotate")}>
          {t.rotate}
        </button>
      )}
      <button type="button" class="button small" aria-label={fill(t.revokeOf, { name: key.name })} onClick={() => onAsk("revoke")}>
        {t.revoke}
      </button>
    </div>,
  ];
}

function ShownOnce({ name, secret }: { name: string; secret: string }) {
  const t = useTexts().console;
  const place = useRef<HTMLElement>(null);
  // The form that made it may be a screen further down.
  useEffect(() => place.current?.scrollIntoView({ block: "nearest" }), [secret]);
  return (
    <section class="card" aria-label={t.apiKey} ref={place}>
      <Note kind="good">{fill(t.keyCreated, { name })}</Note>
      <Once text={secret} copyLabel={t.keyCopy} />
    </section>
  );
}
