/** Lines over time, drawn by uPlot, with the colours of the page's theme. Loaded only when a panel is open. */
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface PlotLine {
  label: string;
  color: string;
  values: (number | null)[];
  dash?: number[];
}

const NO_MARKS: readonly PlotMark[] = [];

interface Properties {
  title: string;
  times: number[];
  lines: PlotLine[];
  format: (value: number) => string;
  /** Moments to mark, with what happened then. */
  marks?: readonly PlotMark[] | undefined;
  /** Whether the moments are told in words too: once is enough for several plots of one time. */
  tellMarks?: boolean;
}

export interface PlotMark {
  time: number;
  label: string;
}

export default function PlotView({ title, times, lines, format, marks = NO_MARKS, tellMarks = true }: Properties) {
  const shownMarks = useRef(marks);
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
        hooks: { draw: [(drawn) => drawMarks(drawn, shownMarks.current, color("--soft"))] },
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
    shownMarks.current = marks;
    plot.current?.setData([times, ...lines.map((line) => line.values)]);
  }, [times, lines, marks]);

  const [first, last] = [times[0] ?? Infinity, times[times.length - 1] ?? -Infinity];
  const within = marks.filter((mark) => mark.time >= first && mark.time <= last).slice(0, 4);
  return (
    <figure className="plot">
      <figcaption>{title}</figcaption>
      <div ref={place} />
      {tellMarks && within.length > 0 && (
        <p className="plot-marks">
          {within.map((mark) => (
            <span key={`${mark.time} ${mark.label}`}>
              ┆ {new Date(mark.time * 1000).toLocaleTimeString(undefined, { hour12: false })} {mark.label}
            </span>
          ))}
        </p>
      )}
    </figure>
  );
}

function newest(values: ArrayLike<number | null | undefined> | undefined): number | null | undefined {
  return Array.from(values ?? []).findLast((value) => value !== null && value !== undefined);
}

/** A dashed line for each moment. */
function drawMarks(drawn: uPlot, marks: readonly PlotMark[], color: string): void {
  const { ctx, bbox } = drawn;
  const { min, max } = drawn.scales["x"] ?? {};
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { time } of marks) {
    if (min === undefined || max === undefined || time < (min ?? 0) || time > (max ?? 0)) continue;
    const x = drawn.valToPos(time, "x", true);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
