// A device whose clock has run away: two codes in a row, read over the phone, find it again.
import { useRef, useState } from "preact/hooks";
import { Dialog } from "../shared/dialog";
import { CodeField } from "../shared/fields";
import { fill, useLanguage, useTexts, type Texts } from "../shared/language";
import { problemText } from "../shared/parts";
import { duration } from "../shared/times";
import { api, type AdminDevice, type Resync } from "./api";

export function driftText(steps: number, t: Texts["console"]): string {
  if (steps === 0) return t.driftNone;
  const size = Math.abs(steps);
  if (size === 1) return steps < 0 ? t.driftBehindOne : t.driftAheadOne;
  return fill(steps < 0 ? t.driftBehind : t.driftAhead, { n: size });
}

export function ResyncDialog(props: {
  user: string;
  device: AdminDevice;
  onDone: (driftSteps: number) => void;
  onClose: () => void;
}) {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const { device } = props;
  const [codes, setCodes] = useState<[string, string]>(["", ""]);
  const [error, setError] = useState<{ at: 0 | 1; text: string } | null>(null);
  const busy = useRef(false);

  const refusal = (answer: Resync): string => {
    if (answer.result === "replayed") return t.resyncReplayed;
    if (answer.result !== "locked") return t.resyncRejected;
    return answer.retry_after_s ? fill(t.resyncLocked, { time: duration(answer.retry_after_s, language) }) : t.resyncLockedHard;
  };
  const send = async () => {
    const answer = await api.resync(props.user, device.id, ...codes);
    if (!answer.ok) return setError({ at: 0, text: problemText(answer.problem, texts, language) });
    if (answer.value.result !== "accepted") return setError({ at: 0, text: refusal(answer.value) });
    props.onDone(answer.value.drift_steps ?? 0);
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy.current) return;
    setError(null);
    const short = codes.findIndex((code) => code.length !== device.digits);
    if (short >= 0) {
      await Promise.resolve(); // the old message goes first, so that the same one is read aloud again
      return setError({ at: short === 0 ? 0 : 1, text: fill(texts.portal.codeShort, { digits: device.digits }) });
    }
    busy.current = true;
    await send();
    busy.current = false;
  };

  return (
    <Dialog title={fill(t.resyncTitle, { name: device.name })} onClose={props.onClose}>
      <p>{fill(t.resyncLead, { s: device.period })}</p>
      <form onSubmit={submit} noValidate>
        <CodeField
          label={t.resyncFirst}
          digits={device.digits}
          value={codes[0]}
          onValue={(code) => setCodes([code, codes[1]])}
          error={error?.at === 0 ? error.text : null}
          focus
        />
        <CodeField
          label={t.resyncSecond}
          digits={device.digits}
          value={codes[1]}
          onValue={(code) => setCodes([codes[0], code])}
          error={error?.at === 1 ? error.text : null}
        />
        <div class="actions end">
          <button type="button" class="button" onClick={props.onClose}>
            {texts.shared.cancel}
          </button>
          <button type="submit" class="button primary">
            {t.resync}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
