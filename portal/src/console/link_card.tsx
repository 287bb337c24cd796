// A single-use link into the portal, for handing to a person.
import { useState } from "preact/hooks";
import { DurationField } from "../shared/fields";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Note, Once } from "../shared/parts";
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
        <DurationField
          label={t.linkValid}
          choicesS={lifetimesS}
          valueS={lifetimeS}
          onValue={setLifetimeS}
          words={(seconds) => duration(seconds, language)}
        />
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
          <Once text={link.url} copyLabel={t.linkCopy} />
        </>
      )}
    </section>
  );
}
