// API keys: listed, made (shown once) and revoked.
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Busy, Confirm, CopyButton, Field, Note, PageTitle, problemText, Time } from "../shared/parts";
import { api, type ApiKey } from "./api";
import { Refused } from "./app";

const scopes = ["verify", "enroll", "read", "admin", "audit", "metrics"] as const;

export function KeysPage() {
  const t = useTexts().console;
  const [keys, setKeys] = useState<ApiKey[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const load = useCallback(async () => {
    const answer = await api.keys();
    setProblem(answer.ok ? null : answer.problem);
    if (answer.ok) setKeys(answer.value.api_keys);
  }, []);
  useEffect(() => void load(), []);
  const revoke = async (key: ApiKey) => {
    const answer = await api.revokeKey(key.id);
    setRevoking(null);
    await load();
    if (answer.ok) setSaid(fill(t.revoked, { name: key.name }));
    else setProblem(answer.problem);
  };
  return (
    <>
      <PageTitle title={t.keys} />
      <p class="lead">{t.keysLead}</p>
      {said && <Note kind="good">{said}</Note>}
      {problem && <Refused problem={problem} />}
      {!keys && !problem && <Busy />}
      {keys && (
        <div class="table" tabIndex={0} role="region" aria-label={t.keys}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.keyName}</th>
                <th scope="col">{t.scopes}</th>
                <th scope="col">{t.created}</th>
                <th scope="col">{t.actions}</th>
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <tr key={key.id}>
                  <th scope="row">{key.name}</th>
                  <td>{key.scopes.join(", ")}</td>
                  <td>
                    <Time at={key.created_at} />
                  </td>
                  <td>
                    <button
                      type="button"
                      class="button small"
                      aria-label={fill(t.revokeOf, { name: key.name })}
                      onClick={() => setRevoking(key)}
                    >
                      {t.revoke}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {keys && <NewKey onMade={() => void load()} />}
      {revoking && (
        <Confirm
          title={fill(t.revokeTitle, { name: revoking.name })}
          action={t.revoke}
          danger
          onYes={() => revoke(revoking)}
          onClose={() => setRevoking(null)}
        >
          <p>{t.revokeText}</p>
        </Confirm>
      )}
    </>
  );
}

function NewKey({ onMade }: { onMade: () => void }) {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const [made, setMade] = useState<{ name: string; key: string } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const create = async (event: Event) => {
    event.preventDefault();
    setError(null);
    setMade(null);
    if (name.trim() === "") return setError(texts.shared.nameEmpty);
    if (chosen.length === 0) return setError(t.keyScopeNone);
    const answer = await api.createKey(name.trim(), chosen);
    if (!answer.ok) return setError(problemText(answer.problem, texts, language));
    setMade(answer.value);
    setName("");
    setChosen([]);
    onMade();
  };
  return (
    <section class="card" aria-labelledby="new-key-title">
      <h2 id="new-key-title">{t.keyNew}</h2>
      <form onSubmit={create}>
        <Field label={t.keyName} error={error}>
          {({ id, describedBy, invalid }) => (
            <input
              id={id}
              type="text"
              maxLength={64}
              autocomplete="off"
              aria-describedby={describedBy || undefined}
              aria-invalid={invalid}
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          )}
        </Field>
        <fieldset>
          <legend>{t.scopes}</legend>
          {scopes.map((scope) => (
            <label key={scope} class="check">
              <input
                type="checkbox"
                checked={chosen.includes(scope)}
                onChange={(event) =>
                  setChosen(event.currentTarget.checked ? [...chosen, scope] : chosen.filter((one) => one !== scope))
                }
              />
              <span>
                <code>{scope}</code> <span class="hint">{t.scope[scope]}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <div class="actions">
          <button type="submit" class="button primary">
            {t.keyCreate}
          </button>
        </div>
      </form>
      {made && (
        <>
          <Note kind="good">{fill(t.keyCreated, { name: made.name })}</Note>
          <code class="once" translate={false}>
            {made.key}
          </code>
          <CopyButton text={made.key} label={t.keyCopy} />
        </>
      )}
    </section>
  );
}
