// What the server does now: read every few seconds, kept as long as the page is open.
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Problem } from "../shared/http";
import { fill, useLanguage, useTexts } from "../shared/language";
import { Note, PageTitle, problemText } from "../shared/parts";
import { api } from "./api";
import { pointBetween, quantiles, readingOf, results, type Point, type Reading } from "./metrics";
import { localeOf } from "../shared/times";
import type { Series } from "./chart";

const everyS = 2;
const pointsMax = 450; // a quarter of an hour
const rowsMax = 15;

type ChartType = ComponentType<{ times: number[]; series: Series[]; unit: string }>;

export function LivePage() {
  const texts = useTexts();
  const t = texts.console;
  const language = useLanguage();
  const [points, setPoints] = useState<Point[]>([]);
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
    // One question at a time: the next one is due so long after this one was asked, and not before it is answered.
    const read = async () => {
      const asked = Date.now();
      const answer = await api.metrics();
      if (stopped) return;
      timer = setTimeout(() => void read(), Math.max(0, asked + everyS * 1000 - Date.now()));
      setProblem(answer.ok ? null : answer.problem);
      if (!answer.ok) return;
      const reading = readingOf(answer.value, (asked + Date.now()) / 2);
      const before = last.current;
      last.current = reading;
      if (before) setPoints((known) => [...known.slice(1 - pointsMax), pointBetween(before, reading)]);
    };
    void read();
    return () => {
      stopped = true;
      clearTimeout(timer);
      last.current = null; // a pause must not look like one long interval
    };
  }, [paused]);

  const times = points.map((point) => point.atS);
  const percentiles = (of: "latencyMs" | "commitMs"): Series[] =>
    quantiles.map((quantile, i) => ({
      label: `p${quantile * 100}`,
      values: points.map((point) => point[of][i] ?? null),
    }));
  const rates: Series[] = results.map((name) => ({ label: name, values: points.map((point) => point.rates[name]) }));
  return (
    <>
      <div class="title-row">
        <div>
          <PageTitle title={t.live} />
          <p class="lead">{fill(t.liveLead, { s: everyS })}</p>
        </div>
        <button type="button" class="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? t.resume : t.pause}
        </button>
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
