/** Lines over time, drawn by uPlot, with the colours of the page's theme. Loaded only when a panel is open. */
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { ConfigChange } from "../api/client";
import { ChangeMarks, type PlotArea } from "./ChangeMarks";

export interface PlotLine {
  label: string;
  color: string;
  values: (number | null)[];
  dash?: number[];
}

const NO_CHANGES: readonly ConfigChange[] = [];

interface Properties {
  title: string;
  times: number[];
  lines: PlotLine[];
  format: (value: number) => string;
  /** To be marked at their moments. */
  changes?: readonly ConfigChange[];
}

/** Where the lines are drawn, and the time they span. */
interface Drawn extends PlotArea {
  first: number;
  last: number;
}

export default function PlotView({ title, times, lines, format, changes = NO_CHANGES }: Properties) {
  const [drawnArea, setDrawnArea] = useState<Drawn | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [theme, setTheme] = useState(0);
  const shape = `${theme}|${lines.map((line) => line.label + line.color).join("|")}`;

  useEffect(() => {
    const changed = () => setTheme((count) => count + 1);
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    window.addEventListener("kaiki-theme", changed);
    media.addEventListener("change", changed);
    return () => {
      window.removeEventListener("kaiki-theme", changed);
      media.removeEventListener("change", changed);
    };
  }, []);

  useEffect(() => {
    const target = place.current;
    if (target === null) return;
    const color = (name: string) => getComputedStyle(target).getPropertyValue(name).trim();
    const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    const created = new uPlot(
      {
        width: target.clientWidth || 320,
        height: 132,
        padding: [8, 6, 0, 0],
        cursor: { y: false, points: { size: 6 } },
        legend: { show: true, live: true },
        scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] } },
        axes: [
          { ...axis, size: 26, space: 70, values: [[60, "{HH}:{mm}", null, null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
          { ...axis, size: 46, space: 34, values: (_, splits) => splits.map((value) => format(value)) },
        ],
        hooks: { draw: [(drawn) => setDrawnArea((before) => sameOr(before, areaOf(drawn)))] },
        series: [
          { value: (_, value: number | null) => (value === null ? "" : new Date(value * 1000).toLocaleTimeString(undefined, { hour12: false })) },
          ...lines.map((line) => ({
            label: line.label,
            stroke: color(line.color),
            width: 2,
            points: { show: false },
            ...(line.dash === undefined ? {} : { dash: line.dash }),
            // Without a cursor the legend tells the newest value.
            value: (drawn: uPlot, value: number | null, index: number) => {
              const told = drawn.cursor.idx === null || drawn.cursor.idx === undefined ? newest(drawn.data[index]) : value;
              return told === null || told === undefined ? "–" : format(told);
            },
          })),
        ],
      },
      [times, ...lines.map((line) => line.values)],
      target,
    );
    plot.current = created;
    const resized = new ResizeObserver(() => created.setSize({ width: target.clientWidth, height: 132 }));
    resized.observe(target);
    return () => {
      resized.disconnect();
      created.destroy();
      plot.current = null;
    };
    // The data is set by the effect below; a new plot is only needed when its lines or colours change.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape]);

  useEffect(() => {
    plot.current?.setData([times, ...lines.map((line) => line.values)]);
  }, [times, lines]);

  return (
    <figure className="plot">
      <figcaption>{title}</figcaption>
      <div className="plot-frame">
        <div ref={place} />
        {drawnArea !== null && <ChangeMarks changes={changes} first={drawnArea.first} last={drawnArea.last} area={drawnArea} />}
      </div>
    </figure>
  );
}

function areaOf(drawn: uPlot): Drawn {
  const { left, top, width, height } = drawn.bbox;
  const ratio = devicePixelRatio;
  const { min, max } = drawn.scales["x"] ?? {};
  return { left: left / ratio, right: drawn.width - (left + width) / ratio, top: top / ratio, height: height / ratio, first: min ?? 0, last: max ?? 0 };
}

/** The one from before where nothing differs, so that drawing again does not render again. */
function sameOr(before: Drawn | null, now: Drawn): Drawn {
  const same = before !== null && (Object.keys(now) as (keyof Drawn)[]).every((key) => before[key] === now[key]);
  return same ? before : now;
}

function newest(values: ArrayLike<number | null | undefined> | undefined): number | null | undefined {
  return Array.from(values ?? []).findLast((value) => value !== null && value !== undefined);
}
