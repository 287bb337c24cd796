// Registering for somebody else: the same two steps as in the portal, in one card.
import { useState } from "preact/hooks";
import { inFours } from "../shared/codes";
import { useLanguage, useTexts } from "../shared/language";
import { CodeField, CopyButton, Field, problemText } from "../shared/parts";
import { readQr } from "../shared/qr";
import { api, type BegunDevice } from "./api";

export function BehalfCard({ user, onDone }: { user: string; onDone: (name: string) => void }) {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [name, setName] = useState("");
  const [begun, setBegun] = useState<BegunDevice | null>(null);
  const [code, setCode] = useState("");
  const [error, setError] = useState<string | null>(null);

  const begin = async (event: Event) => {
    event.preventDefault();
    setError(null);
    if (name.trim() === "") return setError(texts.shared.nameEmpty);
    const answer = await api.begin(user, name.trim());
    if (answer.ok) setBegun(answer.value);
    else setError(problemText(answer.problem, texts, language));
  };
  const stop = () => {
    setBegun(null);
    setCode("");
    setError(null);
  };
  const confirm = async (event: Event) => {
    event.preventDefault();
    if (!begun) return;
    setError(null);
    const answer = await api.confirm(user, begun.id, code);
    if (!answer.ok) return setError(problemText(answer.problem, texts, language));
    if (answer.value.result === "rejected") return setError(t.confirmWrong);
    stop();
    setName("");
    onDone(begun.name);
  };

  const picture = begun?.qr ? readQr(begun.qr.svg) : null;
  return (
    <section class="card" aria-labelledby="behalf-title">
      <h2 id="behalf-title">{t.behalf}</h2>
      <p class="hint">{t.behalfLead}</p>
      {!begun && (
        <form onSubmit={begin}>
          <Field label={texts.shared.deviceName} error={error}>
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
          <div class="actions">
            <button type="submit" class="button primary">
              {t.begin}
            </button>
          </div>
        </form>
      )}
      {begun && (
        <form onSubmit={confirm}>
          {picture && (
            <svg class="qr" viewBox={`0 0 ${picture.side} ${picture.side}`} role="img" aria-label={texts.portal.qrLabel} shape-rendering="crispEdges">
              <rect width={picture.side} height={picture.side} fill="#fff" />
              <path d={picture.path} fill="#000" />
            </svg>
          )}
          <code class="once" translate={false}>
            {inFours(begun.secret)}
          </code>
          <CopyButton text={begun.secret} label={texts.portal.copyKey} />
          <CodeField label={t.behalfCode} digits={begun.digits} value={code} onValue={setCode} error={error} focus />
          <div class="actions">
            <button type="button" class="button" onClick={stop}>
              {texts.shared.cancel}
            </button>
            <button type="submit" class="button primary">
              {t.confirm}
            </button>
          </div>
        </form>
      )}
    </section>
  );
}
