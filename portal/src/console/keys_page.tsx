// API keys: listed, rotated and revoked. A key itself is shown once, when it is made.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Busy, Confirm, CopyButton, Note, PageTitle, Time } from "../shared/parts";
import { duration } from "../shared/times";
import { api, type ApiKey } from "./api";
import { Refused } from "./app";
import { NewKey } from "./new_key";

const overlapS = 86_400; // how long a rotated key's old secret still counts

type Asking = { what: "revoke" | "rotate"; key: ApiKey } | null;

export function KeysPage() {
  const t = useTexts().console;
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
        <div class="table" tabIndex={0} role="region" aria-label={t.keys}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.keyName}</th>
                <th scope="col">{t.scopes}</th>
                <th scope="col">{t.created}</th>
                {lives && <th scope="col">{t.lastUsed}</th>}
                {lives && <th scope="col">{t.expires}</th>}
                <th scope="col">{t.actions}</th>
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <KeyRow key={key.id} apiKey={key} lives={lives} onAsk={(what) => setAsking({ what, key })} />
              ))}
            </tbody>
          </table>
        </div>
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

function KeyRow({ apiKey, lives, onAsk }: { apiKey: ApiKey; lives: boolean; onAsk: (what: "revoke" | "rotate") => void }) {
  const texts = useTexts();
  const t = texts.console;
  return (
    <tr>
      <th scope="row">{apiKey.name}</th>
      <td>
        {apiKey.scopes.join(", ")}
        {apiKey.address_ranges && apiKey.address_ranges.length > 0 && <div class="hint">{apiKey.address_ranges.join(", ")}</div>}
      </td>
      <td>
        <Time at={apiKey.created_at} />
      </td>
      {lives && <td>{apiKey.last_used_at ? <Time at={apiKey.last_used_at} relative /> : texts.shared.never}</td>}
      {lives && (
        <td>
          {apiKey.expired && <span class="badge bad">{t.expired}</span>} {apiKey.expires_at ? <Time at={apiKey.expires_at} /> : texts.shared.never}
        </td>
      )}
      <td>
        <div class="actions">
          {lives && (
            <button type="button" class="button small" aria-label={fill(t.rotateOf, { name: apiKey.name })} onClick={() => onAsk("rotate")}>
              {t.rotate}
            </button>
          )}
          <button type="button" class="button small" aria-label={fill(t.revokeOf, { name: apiKey.name })} onClick={() => onAsk("revoke")}>
            {t.revoke}
          </button>
        </div>
      </td>
    </tr>
  );
}

function ShownOnce({ name, secret }: { name: string; secret: string }) {
  const t = useTexts().console;
  const place = useRef<HTMLElement>(null);
  // The form that made it may be a screen further down.
  useEffect(() => place.current?.scrollIntoView({ block: "nearest" }), [secret]);
  return (
    <section class="card" aria-label={t.apiKey} ref={place}>
      <Note kind="good">{fill(t.keyCreated, { name })}</Note>
      <code class="once" translate={false}>
        {secret}
      </code>
      <CopyButton text={secret} label={t.keyCopy} />
    </section>
  );
}
