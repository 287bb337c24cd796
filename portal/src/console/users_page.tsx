// People: found by the beginning of their name, a page at a time, however many there are.
import { useEffect, useRef, useState } from "preact/hooks";
import { Field } from "../shared/fields";
import type { Problem } from "../shared/http";
import { fill, useTexts } from "../shared/language";
import { Busy, PageTitle, Time } from "../shared/parts";
import { hrefOf } from "../shared/route";
import { api, type UserPage } from "./api";
import { Refused } from "./app";
import { DataTable } from "./data_table";

const pageSize = 50;
const typingPauseMs = 250;

// Cursors lead forward only: the ones that led here lead back.
interface Place {
  prefix: string;
  cursors: string[];
}
let remembered: Place = { prefix: "", cursors: [] };

export function UsersPage() {
  const texts = useTexts();
  const [place, setPlace] = useState(remembered);
  const [typed, setTyped] = useState(remembered.prefix);
  const [found, setFound] = useState<UserPage | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const newest = useRef(0);

  useEffect(() => {
    remembered = place;
    const asked = ++newest.current;
    void api.users(place.prefix, place.cursors.at(-1), pageSize).then((answer) => {
      if (asked !== newest.current) return; // a later question is under way
      setProblem(answer.ok ? null : answer.problem);
      if (answer.ok) setFound(answer.value);
    });
  }, [place]);
  useEffect(() => {
    if (typed === place.prefix) return;
    const timer = setTimeout(() => setPlace({ prefix: typed, cursors: [] }), typingPauseMs);
    return () => clearTimeout(timer);
  }, [typed]);

  const next = found?.next_cursor;
  return (
    <>
      <PageTitle title={texts.console.users} />
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          setPlace({ prefix: typed, cursors: [] });
        }}
      >
        <Field label={texts.console.find} hint={texts.console.findHint}>
          {({ id, describedBy }) => (
            <input
              id={id}
              type="search"
              autocomplete="off"
              autocapitalize="off"
              spellcheck={false}
              maxLength={256}
              aria-describedby={describedBy}
              value={typed}
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          )}
        </Field>
      </form>
      {problem && <Refused problem={problem} />}
      {!found && !problem && <Busy />}
      {found && <p class="visually-hidden" role="status">{fill(texts.console.usersShown, { n: found.users.length })}</p>}
      {found && found.users.length === 0 && (
        <section class="card">
          <p>{texts.console.noUsers}</p>
          {place.prefix !== "" && (
            <a href={hrefOf("users", place.prefix)}>{fill(texts.console.openUser, { user: place.prefix })}</a>
          )}
        </section>
      )}
      {found && found.users.length > 0 && (
        <>
          <DataTable
            label={texts.console.users}
            columns={[
              { title: texts.console.user },
              { title: texts.console.activeDevices, kind: "number" },
              { title: texts.console.since },
            ]}
            rows={found.users.map((row) => ({
              key: row.user,
              cells: [<a href={hrefOf("users", row.user)}>{row.user}</a>, row.active_devices, <Time at={row.created_at} />],
            }))}
          />
          <div class="actions pager">
            <button
              type="button"
              class="button"
              disabled={place.cursors.length === 0}
              onClick={() => setPlace({ ...place, cursors: place.cursors.slice(0, -1) })}
            >
              {texts.console.previousPage}
            </button>
            <span>{fill(texts.console.pageOf, { n: place.cursors.length + 1 })}</span>
            <button
              type="button"
              class="button"
              disabled={!next}
              onClick={() => next && setPlace({ ...place, cursors: [...place.cursors, next] })}
            >
              {texts.console.nextPage}
            </button>
          </div>
        </>
      )}
    </>
  );
}
