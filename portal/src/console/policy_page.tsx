// The policy editor. It saves only over what it has shown (If-Match): two administrators never undo each other unseen.
import { useCallback, useEffect, useState } from "preact/hooks";
import { Field } from "../shared/fields";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Busy, Note, PageTitle, problemText } from "../shared/parts";
import { api, type Policy, type PolicyValue } from "./api";
import { Refused } from "./app";
import { changedFields, effectOf, fieldsOf, valueOf, withValue, type PolicyField } from "./policy_fields";

function groupsOf(policy: Policy): PolicyField["group"][] {
  return [...new Set(fieldsOf(policy).map((field) => field.group))];
}

interface Stored {
  policy: Policy;
  etag: string;
}

export function PolicyPage() {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [stored, setStored] = useState<Stored | null>(null);
  const [draft, setDraft] = useState<Policy>({});
  const [problem, setProblem] = useState<Problem | null>(null);
  const [said, setSaid] = useState<{ kind: "good" | "warn" | "info"; text: string } | null>(null);

  const take = (policy: Policy, etag: string | null) => {
    setStored({ policy, etag: etag ?? "*" });
    setDraft(policy);
  };
  const load = useCallback(async () => {
    const answer = await api.policy();
    setProblem(answer.ok ? null : answer.problem);
    if (answer.ok) take(answer.value, answer.etag);
  }, []);
  useEffect(() => void load(), []);

  const changed = stored ? changedFields(stored.policy, draft) : [];
  const save = async (event: Event) => {
    event.preventDefault();
    setSaid(null);
    setProblem(null);
    if (!stored) return;
    if (changed.length === 0) return setSaid({ kind: "info", text: t.policyUnchanged });
    const answer = await api.replacePolicy(draft, stored.etag);
    if (answer.ok) {
      take(answer.value, answer.etag);
      return setSaid({ kind: "good", text: t.policySaved });
    }
    if (answer.problem.status !== 412) return setProblem(answer.problem);
    await load();
    setSaid({ kind: "warn", text: t.policyConflict });
  };
  const errorOf = (name: string) =>
    problem?.field === name ? problemText(problem, texts, language) : null;

  return (
    <>
      <PageTitle title={t.policy} />
      <p class="lead">{t.policyLead}</p>
      {problem && !problem.field && <Refused problem={problem} />}
      {!stored && !problem && <Busy />}
      {stored && (
        <form onSubmit={save} noValidate>
          {groupsOf(stored.policy).map((group) => (
            <section key={group} class="card" aria-labelledby={`group-${group}`}>
              <h2 id={`group-${group}`}>{t.group[group]}</h2>
              <div class="settings">
                {fieldsOf(stored.policy)
                  .filter((field) => field.group === group)
                  .map((field) => (
                    <Field
                      key={field.name}
                      label={t.field[field.name]}
                      hint={effectOf(draft, field.name, t, language)}
                      error={errorOf(field.name)}
                    >
                      {(ids) => (
                        <Setting
                          {...ids}
                          field={field}
                          policy={draft}
                          onPolicy={(policy) => {
                            setDraft(policy);
                            setSaid(null);
                          }}
                        />
                      )}
                    </Field>
                  ))}
              </div>
            </section>
          ))}
          {said && <Note kind={said.kind}>{said.text}</Note>}
          {problem?.field && <Refused problem={problem} />}
          <div class="actions save-bar">
            <button type="submit" class="button primary">
              {t.policySave}
            </button>
            <button type="button" class="button" disabled={changed.length === 0} onClick={() => setDraft(stored.policy)}>
              {t.revert}
            </button>
            {changed.length > 0 && (
              <span class="hint">{fill(t.policyChanged, { fields: changed.map((name) => t.field[name]).join(", ") })}</span>
            )}
          </div>
        </form>
      )}
    </>
  );
}

function Setting(props: {
  id: string;
  describedBy: string;
  invalid: boolean;
  field: PolicyField;
  policy: Policy;
  onPolicy: (policy: Policy) => void;
}) {
  const t = useTexts().console;
  const { field, policy } = props;
  const value = valueOf(policy, field.name);
  const common = { id: props.id, "aria-describedby": props.describedBy || undefined, "aria-invalid": props.invalid };
  if (field.choices) {
    return (
      <select
        {...common}
        value={value}
        onChange={(event) => props.onPolicy(withValue(policy, field.name, event.currentTarget.value))}
      >
        {field.choices.map((choice) => (
          <option key={choice} value={choice}>
            {t.choice[choice]}
          </option>
        ))}
      </select>
    );
  }
  const write = (value: PolicyValue) => props.onPolicy(withValue(policy, field.name, value));
  if (typeof value === "number") {
    return (
      <input
        {...common}
        type="number"
        min={field.min}
        max={field.max}
        value={value}
        onInput={(event) => write(Math.trunc(Number(event.currentTarget.value)))}
      />
    );
  }
  return (
    <input
      {...common}
      type="text"
      maxLength={64}
      autocomplete="off"
      value={value}
      onInput={(event) => write(event.currentTarget.value)}
    />
  );
}
