// A single-use link into the portal, for handing to a person.
import { useState } from "preact/hooks";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { CopyButton, Field, Note } from "../shared/parts";
import { dateTime, duration } from "../shared/times";
import { api } from "./api";
import { Refused } from "./app";

const lifetimesS = [900, 3_600, 86_400];

export function LinkCard({ user }: { user: string }) {
  const t = useTexts().console;
  const language = useLanguage();
  const [lifetimeS, setLifetimeS] = useState(lifetimesS[0] ?? 900);
  const [link, setLink] = useState<{ url: string; expires_at: string } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const make = async (event: Event) => {
    event.preventDefault();
    const answer = await api.link(user, lifetimeS);
    setProblem(answer.ok ? null : answer.problem);
    setLink(answer.ok ? answer.value : null);
  };
  return (
    <section class="card" aria-labelledby="link-title">
      <h2 id="link-title">{t.link}</h2>
      <p class="hint">{t.linkLead}</p>
      <form onSubmit={make}>
        <Field label={t.linkValid}>
          {({ id }) => (
            <select id={id} value={lifetimeS} onChange={(event) => setLifetimeS(Number(event.currentTarget.value))}>
              {lifetimesS.map((s) => (
                <option key={s} value={s}>
                  {duration(s, language)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <div class="actions">
          <button type="submit" class="button primary">
            {t.linkMake}
          </button>
        </div>
      </form>
      {problem && <Refused problem={problem} />}
      {link && (
        <>
          <Note kind="good">{fill(t.linkMade, { time: dateTime(link.expires_at, language) })}</Note>
          <code class="once" translate={false}>
            {link.url}
          </code>
          <CopyButton text={link.url} label={t.linkCopy} />
        </>
      )}
    </section>
  );
}
