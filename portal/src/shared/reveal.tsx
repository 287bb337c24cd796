// A registration's secret, as QR code and as text: hidden until somebody wants to see it, and in the page only while shown.
import { useState } from "preact/hooks";
import { inFours } from "./codes";
import { fill, useTexts } from "./language";
import { CopyButton } from "./parts";
import { decoyQr, type QrPicture } from "./qr";

// What the warning about onlookers that stands above them is called.
export const onlookersId = "onlookers";

// `read` gives the picture, or why there is none; null: the page goes elsewhere.
export function QrReveal({ read }: { read: () => Promise<{ picture: QrPicture } | { error: string } | null> }) {
  const t = useTexts().portal;
  const [picture, setPicture] = useState<QrPicture | null>(null);
  const [error, setError] = useState<string | null>(null);
  const show = async () => {
    setError(null);
    const answer = await read();
    if (!answer) return;
    if ("picture" in answer) setPicture(answer.picture);
    else setError(answer.error);
  };
  return (
    <div class="way">
      <div class={picture ? "qr" : "qr hidden"}>
        {picture ? <Qr picture={picture} label={t.qrLabel} /> : <Qr picture={decoyQr()} label={t.qrHidden} />}
      </div>
      <button type="button" class="button" aria-describedby={onlookersId} onClick={() => (picture ? setPicture(null) : void show())}>
        {picture ? t.hideQr : t.showQr}
      </button>
      {error && (
        <p class="field-error" role="alert">
          {error}
        </p>
      )}
    </div>
  );
}

function Qr({ picture, label }: { picture: QrPicture; label: string }) {
  return (
    <svg viewBox={`0 0 ${picture.side} ${picture.side}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={picture.side} height={picture.side} fill="#fff" />
      <path d={picture.path} fill="#000" />
    </svg>
  );
}

// `secret`: null where this page never had it.
export function SecretReveal(props: { secret: string | null; algorithm: string; digits: number; period: number }) {
  const t = useTexts().portal;
  const [shown, setShown] = useState(false);
  const { secret, algorithm, digits, period } = props;
  const unusual = algorithm !== "SHA1" || digits !== 6 || period !== 30;
  return (
    <div class="way">
      {!shown && (
        <div class="secret hidden" aria-hidden="true">
          <span class="secret-key">
            •••• •••• •••• ••••
            <br />
            •••• •••• •••• ••••
          </span>
        </div>
      )}
      {shown && (
        <div class="secret" role="group" aria-label={t.secretKey}>
          {secret ? (
            <>
              <code class="secret-key" translate={false}>
                {inFours(secret)}
              </code>
              <CopyButton text={secret} label={t.copyKey} />
              <p class="hint">{t.keyHint}</p>
            </>
          ) : (
            <p>{t.keyGone}</p>
          )}
          {unusual && <p class="hint">{fill(t.keyUnusual, { algorithm, digits, period })}</p>}
        </div>
      )}
      <button type="button" class="button" aria-describedby={onlookersId} onClick={() => setShown(!shown)}>
        {shown ? t.hideKey : t.showKey}
      </button>
    </div>
  );
}
