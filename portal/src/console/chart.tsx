// One chart over time, drawn by uPlot on a canvas. The table beside it says the same to those who do not see it.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { localeOf } from "../shared/times";

export interface Series {
  label: string;
  values: (number | null)[];
}

const heightPx = 240;

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function options(width: number, labels: string[], unit: string): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: token("--ink-soft"),
    grid: { stroke: token("--line"), width: 1 },
    ticks: { stroke: token("--line"), width: 1 },
    font: `12px ${token("--font")}`,
  };
  const clock = new Intl.DateTimeFormat(localeOf(document.documentElement.lang), { timeStyle: "medium" });
  return {
    width,
    height: heightPx,
    legend: { show: false }, // the figures above say which line is which
    cursor: { y: false },
    axes: [{ ...axis, space: 80, size: 32, values: (_, ticks) => ticks.map((tick) => clock.format(tick * 1000)) }, { ...axis, size: (_, labels) => Math.max(60, 24 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length))), values: (_, ticks) => ticks.map((tick) => `${+tick.toPrecision(4)} ${unit}`) }],
    scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
    series: [
      {},
      ...labels.map((label, i) => ({ label, stroke: token(`--series-${i + 1}`), width: 2, points: { size: 5, fill: token(`--series-${i + 1}`), filter: alone } })),
    ],
  };
}

// A value between two gaps makes no line: in a quiet night it is all there is, and is drawn as a dot.
function alone(plot: uPlot, seriesIndex: number): number[] {
  const values = plot.data[seriesIndex] ?? [];
  const there = (i: number) => values[i] !== null && values[i] !== undefined;
  return [...values.keys()].filter((i) => there(i) && !there(i - 1) && !there(i + 1));
}

export default function Chart({ times, series, unit }: { times: number[]; series: Series[]; unit: string }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  const labels = series.map((one) => one.label);
  // Lines that lie on the axis all along would hide each other and say nothing: their figures do.
  const told = series.filter((one) => one.values.some(Boolean));
  const data = [times, ...series.map((one) => (told.length === 0 || told.includes(one) ? one.values : one.values.map(() => null)))] as uPlot.AlignedData;

  useEffect(() => {
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(scheme.matches);
    scheme.addEventListener("change", follow);
    return () => scheme.removeEventListener("change", follow);
  }, []);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(element.clientWidth, labels, unit), data, element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: heightPx }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
    };
  }, [labels.join(), unit, dark]);
  useEffect(() => plot.current?.setData(data), [times.length, times.at(-1)]);
  return <div class="chart" ref={place} aria-hidden="true" />;
}
