// The form that makes an API key.
import { useState } from "preact/hooks";
import { DurationField, TextField } from "../shared/fields";
import { useLanguage, useTexts } from "../shared/language";
import { problemText } from "../shared/parts";
import { duration } from "../shared/times";
import { api, type NewApiKey } from "./api";

const scopes = ["verify", "enroll", "read", "admin", "audit", "metrics"] as const;
const dayS = 86_400;
const lifetimesS = [0, 30 * dayS, 90 * dayS, 365 * dayS]; // 0: it does not expire

// `lives`: the server knows expiry and address ranges.
export function NewKey({ lives, onMade }: { lives: boolean; onMade: (made: { name: string; key: string }) => void }) {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const [lifetimeS, setLifetimeS] = useState(0);
  const [ranges, setRanges] = useState("");
  const [error, setError] = useState<{ field: string; text: string } | null>(null);

  const create = async (event: Event) => {
    event.preventDefault();
    setError(null);
    if (name.trim() === "") return setError({ field: "name", text: texts.shared.nameEmpty });
    if (chosen.length === 0) return setError({ field: "name", text: t.keyScopeNone });
    const wanted: NewApiKey = { name: name.trim(), scopes: chosen };
    if (lifetimeS > 0) wanted.expires_at = new Date(Date.now() + lifetimeS * 1000).toISOString().replace(/\.\d+/, "");
    const networks = ranges.split(/[\s,]+/).filter(Boolean);
    if (networks.length > 0) wanted.address_ranges = networks;
    const answer = await api.createKey(wanted);
    if (!answer.ok) {
      return setError({ field: answer.problem.field ?? "name", text: problemText(answer.problem, texts, language) });
    }
    setName("");
    setChosen([]);
    setLifetimeS(0);
    setRanges("");
    onMade(answer.value);
  };
  const errorOf = (...fields: string[]) => (error && fields.includes(error.field) ? error.text : null);
  return (
    <section class="card" aria-labelledby="new-key-title">
      <h2 id="new-key-title">{t.keyNew}</h2>
      <form onSubmit={create}>
        <TextField label={t.keyName} error={errorOf("name", "scopes", "expires_at")} value={name} onValue={setName} />
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
        {lives && (
          <DurationField
            label={t.expires}
            choicesS={lifetimesS}
            valueS={lifetimeS}
            onValue={setLifetimeS}
            words={(seconds) => (seconds === 0 ? texts.shared.never : duration(seconds, language))}
          />
        )}
        {lives && (
          <TextField
            label={t.ranges}
            hint={t.rangesHint}
            error={errorOf("address_ranges")}
            maxLength={1_000}
            verbatim
            value={ranges}
            onValue={setRanges}
          />
        )}
        <div class="actions">
          <button type="submit" class="button primary">
            {t.keyCreate}
          </button>
        </div>
      </form>
    </section>
  );
}
