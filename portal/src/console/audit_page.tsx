// The audit trail, with filters; older entries follow on request.
import { useEffect, useRef, useState } from "preact/hooks";
import { Field } from "../shared/fields";
import type { Problem } from "../shared/http";
import { fill, useTexts } from "../shared/language";
import { Busy, PageTitle, Time } from "../shared/parts";
import { hrefOf, parseRoute } from "../shared/route";
import { api, type AuditEntry } from "./api";
import { Refused } from "./app";
import { DataTable } from "./data_table";

const actions = [
  "device.begin", "device.confirm", "device.rename", "device.enable", "device.disable", "device.remove", "device.resync",
  "user.unlock", "user.lock", "user.remove", "recovery_codes.make", "recovery_codes.use", "policy.replace", "api_key.create",
  "api_key.revoke", "api_key.rotate", "portal_link.make", "portal_link.use", "portal.sign_in", "console.sign_in", "import",
  "backup.make", "restore", "keys.rotate", "request.refused", "verification",
];

interface Filter {
  from: string; // as the field has it: local time
  to: string;
  user: string;
  action: string;
}

// "2026-11-25T14:00" on this computer's clock, as UTC for the server.
function utc(local: string): string | undefined {
  const at = new Date(local);
  return local === "" || Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

export function AuditPage() {
  const t = useTexts().console;
  const [filter, setFilter] = useState<Filter>({ from: "", to: "", user: parseRoute(location.hash)[1] ?? "", action: "" });
  const [entries, setEntries] = useState<AuditEntry[] | null>(null);
  const [cursor, setCursor] = useState<string | undefined>();
  const [problem, setProblem] = useState<Problem | null>(null);
  const newest = useRef(0);

  const load = async (after: string | undefined) => {
    const asked = ++newest.current;
    const from = utc(filter.from);
    const to = utc(filter.to);
    const answer = await api.audit({
      ...(from ? { from } : {}),
      ...(to ? { to } : {}),
      ...(filter.user ? { user: filter.user } : {}),
      ...(filter.action ? { action: filter.action } : {}),
      ...(after ? { cursor: after } : {}),
    });
    if (asked !== newest.current) return;
    setProblem(answer.ok ? null : answer.problem);
    if (!answer.ok) return;
    setEntries((before) => (after && before ? [...before, ...answer.value.entries] : answer.value.entries));
    setCursor(answer.value.next_cursor);
  };
  useEffect(() => void load(undefined), []);
  const change = (name: keyof Filter) => (event: Event & { currentTarget: { value: string } }) =>
    setFilter({ ...filter, [name]: event.currentTarget.value });

  return (
    <>
      <PageTitle title={t.audit} />
      <p class="lead">{t.auditLead}</p>
      <form
        class="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          void load(undefined);
        }}
      >
        <Field label={t.user}>
          {({ id }) => <input id={id} type="text" autocomplete="off" value={filter.user} onInput={change("user")} />}
        </Field>
        <Field label={t.action}>
          {({ id }) => (
            <select id={id} value={filter.action} onChange={change("action")}>
              <option value="">{t.anyAction}</option>
              {actions.map((action) => (
                <option key={action} value={action}>
                  {action}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={t.from}>
          {({ id }) => <input id={id} type="datetime-local" value={filter.from} onInput={change("from")} />}
        </Field>
        <Field label={t.to}>
          {({ id }) => <input id={id} type="datetime-local" value={filter.to} onInput={change("to")} />}
        </Field>
        <button type="submit" class="button primary">
          {t.filter}
        </button>
      </form>
      {problem && <Refused problem={problem} />}
      {!entries && !problem && <Busy />}
      {entries && (
        <p class={entries.length ? "visually-hidden" : ""} role="status">
          {entries.length ? fill(t.entriesLoaded, { n: entries.length }) : t.noEntries}
        </p>
      )}
      {entries && entries.length > 0 && (
        <DataTable
          label={t.audit}
          columns={[
            { title: t.action, kind: "nowrap" },
            { title: t.user, kind: "name" },
            { title: t.actor, kind: "name" },
            { title: t.detail, kind: "detail" },
          ]}
          rows={entries.map((entry, i) => ({
            key: String(entry.sequence ?? i),
            cells: [
              <>
                {entry.action}
                <div class="hint">
                  <Time at={entry.at} exact />
                </div>
              </>,
              entry.user && <a href={hrefOf("users", entry.user)}>{entry.user}</a>,
              <>
                {entry.actor}
                {entry.address && <div class="hint">{entry.address}</div>}
              </>,
              detailText(entry),
            ],
          }))}
        />
      )}
      {cursor && (
        <div class="actions">
          <button type="button" class="button" onClick={() => void load(cursor)}>
            {t.more}
          </button>
        </div>
      )}
    </>
  );
}

// "name: My phone, digits: 6": what an entry's detail holds, without its brackets.
function detailText(entry: AuditEntry): string {
  const { detail } = entry;
  if (detail === undefined || detail === null) return entry.device ?? "";
  if (typeof detail !== "object") return String(detail);
  return Object.entries(detail)
    .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : String(value)}`)
    .join(", ");
}
