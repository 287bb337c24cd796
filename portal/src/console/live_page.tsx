// What the server does now, read every few seconds, after what it remembers of the last half hour.
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { serverClock } from "../shared/clock";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Note, PageTitle, problemText } from "../shared/parts";
import { duration, localeOf } from "../shared/times";
import { api } from "./api";
import type { Series } from "./chart";
import { pointsOf, quantiles, readingOf, readingsOf, results, type Point, type Reading } from "./metrics";

const everyS = 2;
const spansS = [300, 1_800]; // how much is shown; the longest is what the server remembers
const keptS = Math.max(...spansS);
const rowsMax = 15;

type ChartType = ComponentType<{ times: number[]; series: Series[]; unit: string }>;

// Points in the order of time, none older than what can be shown.
function extended(known: Point[], more: Point[]): Point[] {
  const newest = more.at(-1)?.atS;
  if (newest === undefined) return known;
  const ordered = known.filter((point) => point.atS < (more[0]?.atS ?? 0)); // a clock that was set back begins again there
  return [...ordered, ...more].filter((point) => point.atS > newest - keptS);
}

export function LivePage() {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [points, setPoints] = useState<Point[]>([]);
  const [spanS, setSpanS] = useState(keptS);
  const [paused, setPaused] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [Chart, setChart] = useState<ChartType | null>(null);
  const last = useRef<Reading | null>(null);

  // uPlot is fetched when a chart is wanted, not with the sign-in page.
  useEffect(() => void import("./chart").then((module) => setChart(() => module.default)), []);
  useEffect(() => {
    if (paused) return;
    let stopped = false;
    let timer = 0;
    const take = (readings: Reading[]) => {
      const chain = last.current ? [last.current, ...readings] : readings;
      last.current = readings.at(-1) ?? last.current;
      setPoints((known) => extended(known, pointsOf(chain)));
    };
    // One question at a time: the next one is due so long after this one was asked, and not before it is answered.
    const read = async () => {
      const asked = Date.now();
      const answer = await api.metrics();
      if (stopped) return;
      timer = setTimeout(() => void read(), Math.max(0, asked + everyS * 1000 - Date.now()));
      setProblem(answer.ok ? null : answer.problem);
      if (answer.ok) take([readingOf(answer.value, serverClock.now() - (Date.now() - asked) / 2)]);
    };
    // What came before the page was opened, or while it was held.
    const begin = async () => {
      const asked = Date.now();
      const answer = await api.history();
      if (stopped) return;
      last.current = null; // a pause must not look like one long interval
      if (answer.ok) {
        serverClock.learn(answer.value.server_time, asked, Date.now());
        setPoints([]);
        take(readingsOf(answer.value));
      }
      void read();
    };
    void begin();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [paused]);

  const shownFrom = (points.at(-1)?.atS ?? 0) - spanS;
  const shown = points.filter((point) => point.atS > shownFrom);
  const times = shown.map((point) => point.atS);
  const percentiles = (of: "latencyMs" | "commitMs"): Series[] =>
    quantiles.map((quantile, i) => ({
      label: `p${quantile * 100}`,
      values: shown.map((point) => point[of][i] ?? null),
    }));
  const rates: Series[] = results.map((name) => ({ label: name, values: shown.map((point) => point.rates[name]) }));
  return (
    <>
      <div class="title-row">
        <div>
          <PageTitle title={t.live} />
          <p class="lead">{fill(t.liveLead, { s: everyS })}</p>
        </div>
        <div class="actions">
          <div class="actions" role="group" aria-label={t.span}>
            {spansS.map((seconds) => (
              <button key={seconds} type="button" class="button" aria-pressed={spanS === seconds} onClick={() => setSpanS(seconds)}>
                {duration(seconds, language)}
              </button>
            ))}
          </div>
          <button type="button" class="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? t.resume : t.pause}
          </button>
        </div>
      </div>
      {problem && <Note kind="bad">{fill(t.metricsStale, { detail: problemText(problem, texts, language) })}</Note>}
      <Panel Chart={Chart} title={t.rate} unit="/s" times={times} series={rates} />
      <Panel Chart={Chart} title={t.latency} unit="ms" times={times} series={percentiles("latencyMs")} />
      <Panel Chart={Chart} title={t.commit} unit="ms" times={times} series={percentiles("commitMs")} />
    </>
  );
}

function Panel(props: { Chart: ChartType | null; title: string; unit: string; times: number[]; series: Series[] }) {
  const t = useTexts().console;
  const language = useLanguage();
  const [table, setTable] = useState(false);
  const { Chart, title, unit, times, series } = props;
  const number = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
  const shown = (value: number | null | undefined) => (value === null || value === undefined ? "–" : number.format(value));
  return (
    <section class="card panel" aria-label={title}>
      <div class="title-row">
        <h2>{title}</h2>
        <div class="actions" role="group" aria-label={t.view}>
          <button type="button" class="button small" aria-pressed={!table} onClick={() => setTable(false)}>
            {t.asChart}
          </button>
          <button type="button" class="button small" aria-pressed={table} onClick={() => setTable(true)}>
            {t.asTable}
          </button>
        </div>
      </div>
      <dl class="figures">
        {series.map((one, i) => (
          <div key={one.label} class={`figure series-${i + 1}`}>
            <dt>{one.label}</dt>
            <dd>
              {shown(one.values.at(-1))} <span class="hint">{unit}</span>
            </dd>
          </div>
        ))}
      </dl>
      {times.length === 0 && <p class="busy">{t.noData}</p>}
      {times.length > 0 && !table && Chart && <Chart times={times} series={series} unit={unit} />}
      {times.length > 0 && table && (
        <div class="table" tabIndex={0} role="region" aria-label={`${title}: ${t.asTable}`}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.time}</th>
                {series.map((one) => (
                  <th key={one.label} scope="col" class="number">
                    {one.label} ({unit})
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.slice(-rowsMax).map((at, row, newest) => {
                const i = times.length - newest.length + row;
                return (
                  <tr key={at}>
                    <th scope="row">{new Date(at * 1000).toLocaleTimeString(localeOf(language))}</th>
                    {series.map((one) => (
                      <td key={one.label} class="number">
                        {shown(one.values[i])}
                      </td>
                    ))}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
