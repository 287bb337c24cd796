// Before devices change, a person who has one proves it. Goes through the server's one way of verifying.
import { useRef, useState } from "preact/hooks";
import { recoveryText } from "../shared/codes";
import { CodeField, TextField } from "../shared/fields";
import { fill, useLanguage, useTexts } from "../shared/language";
import { PageTitle, problemText } from "../shared/parts";
import { goInstead } from "../shared/route";
import { duration } from "../shared/times";
import { api, type CodeResult } from "./api";
import type { PortalPage } from "./app";
import { CodeTime } from "./code_time";
import { wish } from "./state";

export function CodePage({ list, reload }: PortalPage) {
  const texts = useTexts();
  const language = useLanguage();
  const [recovery, setRecovery] = useState(false);
  const [code, setCode] = useState("");
  const [error, setError] = useState<string | null>(null);
  const busy = useRef(false);
  const active = list.devices.filter((device) => device.status === "active" && device.enabled);
  const digits = Math.max(6, ...active.map((device) => device.digits));

  const words = (answer: CodeResult): string => {
    const t = texts.portal;
    if (answer.result === "replayed") return recovery ? t.recoveryReplayed : t.codeReplayed;
    if (answer.result === "no_device") return t.codeNoDevice;
    if (answer.result !== "locked") return recovery ? t.recoveryRejected : t.codeRejected;
    return answer.retry_after_s ? fill(t.codeLocked, { time: duration(answer.retry_after_s, language) }) : t.codeLockedHard;
  };
  const prove = async (): Promise<string | null> => {
    const answer = await api.prove(recovery ? recoveryText(code) : code);
    if (!answer.ok) {
      if (recovery && answer.problem.field === "code") return texts.portal.recoveryForm;
      if (answer.problem.field === "code") return fill(texts.portal.codeShort, { digits });
      return problemText(answer.problem, texts, language);
    }
    if (answer.value.result !== "accepted") return words(answer.value);
    const wanted = wish.take();
    await reload();
    if (wanted?.what === "remove") wish.set(wanted);
    goInstead(...(wanted?.what === "register" ? ["register"] : wanted?.what === "recovery" ? ["recovery"] : []));
    return null;
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy.current) return;
    if (code === "") return setError(recovery ? texts.portal.recoveryForm : fill(texts.portal.codeShort, { digits }));
    busy.current = true;
    setError(null);
    setError(await prove());
    busy.current = false;
  };

  return (
    <section class="card narrow">
      <PageTitle title={texts.portal.codeTitle} />
      <p>{texts.portal.codeLead}</p>
      <form onSubmit={submit}>
        {recovery ? (
          <TextField verbatim label={texts.portal.recoveryLabel} error={error} value={code} onValue={setCode} />
        ) : (
          <CodeField
            label={texts.portal.codeExisting}
            digits={digits}
            value={code}
            onValue={setCode}
            error={error}
            hint={active[0] ? <CodeTime period={active[0].period} /> : undefined}
          />
        )}
        <button
          type="button"
          class="link"
          onClick={() => {
            setRecovery(!recovery);
            setCode("");
            setError(null);
          }}
        >
          {recovery ? texts.portal.codeInstead : texts.portal.recoveryInstead}
        </button>
        <div class="actions end">
          <a class="button" href="#/">
            {texts.shared.cancel}
          </a>
          <button type="submit" class="button primary">
            {texts.portal.continue}
          </button>
        </div>
      </form>
    </section>
  );
}
