// Recovery codes: made when this page opens, shown once, gone when it is left.
import { useEffect, useRef, useState } from "preact/hooks";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Busy, Callout, CopyButton, Note, PageTitle, problemText } from "../shared/parts";
import { goInstead } from "../shared/route";
import { api } from "./api";
import type { PortalPage } from "./app";
import { wish } from "./state";

export function RecoveryPage({ session, reload }: PortalPage) {
  const texts = useTexts();
  const language = useLanguage();
  const [codes, setCodes] = useState<string[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const asked = useRef(false);

  const make = async () => {
    asked.current = true;
    const answer = await api.recoveryCodes();
    if (answer.ok) {
      setCodes(answer.value.codes);
      // A reload of this address must not make new codes and so end these: it leads to the list.
      history.replaceState(null, "", "#/");
      return reload();
    }
    if (answer.problem.slug === "code_needed") {
      wish.set({ what: "recovery" });
      return goInstead("code");
    }
    setError(problemText(answer.problem, texts, language));
  };
  useEffect(() => {
    if (!asked.current) void make();
  }, []);

  const leave = () => {
    setCodes(null);
    goInstead();
  };
  const save = (list: string[]) => {
    const text = `${fill(texts.portal.recoveryFileHead, { user: session.user })}\n\n${list.join("\n")}\n`;
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    const anchor = document.createElement("a");
    anchor.href = url;
    anchor.download = texts.portal.recoveryFile;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };

  if (!codes) {
    return (
      <section class="card narrow">
        <PageTitle title={texts.portal.recovery} />
        {error ? <Note kind="bad">{error}</Note> : <Busy />}
      </section>
    );
  }
  return (
    <section class="card narrow printed">
      <PageTitle title={texts.portal.recovery} />
      <p>{texts.portal.recoveryLead}</p>
      <Callout kind="warn">{texts.portal.recoveryWarn}</Callout>
      <ol class="recovery-codes" translate={false}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ol>
      <div class="actions">
        <button type="button" class="button" onClick={() => print()}>
          {texts.portal.print}
        </button>
        <CopyButton text={codes.join("\n")} label={texts.shared.copy} />
        <button type="button" class="button" onClick={() => save(codes)}>
          {texts.portal.download}
        </button>
      </div>
      <div class="actions end">
        <button type="button" class="button primary" onClick={leave}>
          {texts.portal.recoverySaved}
        </button>
      </div>
    </section>
  );
}
