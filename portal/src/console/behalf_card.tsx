// Registering for somebody else: the same two steps as in the portal, in one card.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { refusalOf, type BegunDevice } from "../shared/devices";
import { CodeField, TextField } from "../shared/fields";
import { useLanguage, useTexts } from "../shared/language";
import { Callout, problemText } from "../shared/parts";
import { readQr } from "../shared/qr";
import { onlookersId, QrReveal, SecretReveal } from "../shared/reveal";
import { api } from "./api";

export function BehalfCard(props: { user: string; onBegun: () => void; onDone: (name: string) => void }) {
  const { user } = props;
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [name, setName] = useState("");
  const [begun, setBegun] = useState<BegunDevice | null>(null);
  const [code, setCode] = useState("");
  const [error, setError] = useState<string | null>(null);

  const heading = useRef<HTMLHeadingElement>(null);
  const words = { wrong: t.confirmWrong, behind: t.confirmBehind, ahead: t.confirmAhead };

  // The button that was pressed is gone: who reads or types goes on from the top of the card.
  useLayoutEffect(() => {
    if (begun) heading.current?.focus();
  }, [begun]);
  const begin = async (event: Event) => {
    event.preventDefault();
    setError(null);
    if (name.trim() === "") return setError(texts.shared.nameEmpty);
    const answer = await api.begin(user, name.trim());
    if (!answer.ok) return setError(problemText(answer.problem, texts, language));
    setBegun(answer.value);
    props.onBegun();
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
    if (answer.value.result === "rejected") return setError(refusalOf(answer.value, words, language));
    stop();
    setName("");
    props.onDone(begun.name);
  };

  const read = async () => {
    const picture = begun?.qr ? readQr(begun.qr.svg) : null;
    return picture ? { picture } : { error: texts.shared.failedPlain };
  };
  return (
    <section class="card" aria-labelledby="behalf-title">
      <h2 id="behalf-title" ref={heading} tabIndex={-1}>{t.behalf}</h2>
      <p class="hint">{t.behalfLead}</p>
      {!begun && (
        <form onSubmit={begin}>
          <TextField label={texts.shared.deviceName} error={error} value={name} onValue={setName} />
          <div class="actions">
            <button type="submit" class="button primary">
              {t.begin}
            </button>
          </div>
        </form>
      )}
      {begun && (
        <form onSubmit={confirm}>
          <Callout kind="warn" id={onlookersId}>
            {t.behalfOnlookers}
          </Callout>
          <div class="ways">
            <QrReveal read={read} />
            <SecretReveal secret={begun.secret} algorithm={begun.algorithm} digits={begun.digits} period={begun.period} />
          </div>
          <CodeField label={t.behalfCode} digits={begun.digits} value={code} onValue={setCode} error={error} />
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
