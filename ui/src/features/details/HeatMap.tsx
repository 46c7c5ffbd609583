/** Latency over time: a column for each moment, a row for each bucket, stronger where more requests fell. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import type { ConfigChange } from "../../api/client";
import { fetchHeat } from "../../api/pages";
import { untilAnswered } from "../../api/queries";
import { useLanguage } from "../../app/language";
import { formatClock, formatShare } from "../../domain/format";
import { heatCells, heatStrength, type HeatCells } from "../../domain/heat";
import { ChangeMarks } from "../../shared/ChangeMarks";
import { useChangesWithin } from "../graph/useChangesWithin";
import { rateText } from "../graph/words";

const MOST_COLUMNS = 90;
const LEFT = 74;
const BOTTOM = 20;
const ROW = 15;

interface Properties {
  node: string;
  direction: "inbound" | "outbound";
  until: number | null;
  spanSeconds: number;
  markedNamespaces: readonly string[];
}

export function HeatMap({ node, direction, until, spanSeconds, markedNamespaces }: Properties) {
  const { t } = useLanguage();
  const step = Math.max(5, Math.ceil(spanSeconds / MOST_COLUMNS));
  const { data, error } = useQuery({
    queryKey: ["heat", node, direction, until, spanSeconds],
    queryFn: ({ signal }) => {
      const end = until ?? Date.now() / 1000;
      return fetchHeat(node, direction, end - spanSeconds, end, step, signal);
    },
    refetchInterval: until === null ? 5000 : untilAnswered,
    placeholderData: keepPreviousData,
  });
  const changes = useChangesWithin({ from: data?.times[0], until, spanSeconds, namespaces: markedNamespaces });
  const cells = useMemo(() => (data === undefined ? null : heatCells(data)), [data]);
  if (error !== null && data === undefined) return null; // The plots above say what is wrong.
  if (cells === null || data === undefined || cells.rows.length === 0) return null;
  return (
    <figure className="plot heat">
      <figcaption>{t("heat")}</figcaption>
      <Cells cells={cells} times={data.times} changes={changes} />
    </figure>
  );
}

interface Place {
  row: number;
  column: number;
}

function Cells({ cells, times, changes }: { cells: HeatCells; times: number[]; changes: readonly ConfigChange[] }) {
  const { t, language } = useLanguage();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [place, setPlace] = useState<Place | null>(null);
  const [drawn, redraw] = useState(0);
  const height = cells.rows.length * ROW + BOTTOM;
  useEffect(() => {
    const again = () => redraw((count) => count + 1);
    const media = window.matchMedia("(prefers-color-scheme: dark)");
    const resized = new ResizeObserver(again);
    if (canvas.current !== null) resized.observe(canvas.current);
    window.addEventListener("kaiki-theme", again);
    media.addEventListener("change", again);
    return () => {
      resized.disconnect();
      window.removeEventListener("kaiki-theme", again);
      media.removeEventListener("change", again);
    };
  }, []);
  useEffect(() => {
    if (canvas.current !== null) draw(canvas.current, cells, times, place, language);
  }, [cells, times, place, drawn, language]);

  const at = (x: number, y: number): Place | null => {
    const width = (canvas.current?.clientWidth ?? 0) - LEFT;
    const [row, column] = [Math.floor(y / ROW), Math.floor(((x - LEFT) / width) * times.length)];
    return row >= 0 && row < cells.rows.length && column >= 0 && column < times.length ? { row, column } : null;
  };
  const move = (event: KeyboardEvent) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const from = place ?? { row: cells.rows.length - 1, column: times.length };
    const clamp = (value: number, most: number) => Math.min(Math.max(value, 0), most - 1);
    setPlace({ row: clamp(from.row + (step[0] ?? 0), cells.rows.length), column: clamp(from.column + (step[1] ?? 0), times.length) });
  };
  const shown = place === null ? null : (cells.rows[place.row] ?? null);
  const rate = place === null || shown === null ? null : (shown.rates[place.column] ?? null);
  const total = place === null ? null : (cells.totals[place.column] ?? null);
  return (
    <>
      <div className="plot-frame">
      <canvas
        ref={canvas}
        className="heat-cells"
        style={{ height }}
        tabIndex={0}
        role="img"
        aria-label={t("heatLabel", { slowest: cells.rows[0]?.range ?? "", fastest: cells.rows.at(-1)?.range ?? "" })}
        onKeyDown={move}
        onBlur={() => setPlace(null)}
        onPointerMove={(event) => setPlace(at(event.nativeEvent.offsetX, event.nativeEvent.offsetY))}
        onPointerLeave={() => setPlace(null)}
      />
      <ChangeMarks changes={changes} first={times[0] ?? 0} last={times.at(-1) ?? 0} area={{ left: LEFT, right: 0, top: 0, height: cells.rows.length * ROW }} />
      </div>
      <output className="heat-told soft">
        {place === null || shown === null
          ? t("heatHint")
          : rate === null
            ? `${formatClock(times[place.column] ?? 0, language)} · ${t("noHistory")}`
            : `${formatClock(times[place.column] ?? 0, language)} · ${shown.range} · ${rateText(rate, t)}${total !== null && total > 0 ? ` · ${formatShare(rate / total)}` : ""}`}
      </output>
    </>
  );
}

function draw(target: HTMLCanvasElement, cells: HeatCells, times: number[], place: Place | null, language: string): void {
  const context = target.getContext("2d");
  if (context === null) return;
  const ratio = window.devicePixelRatio;
  const [width, height] = [target.clientWidth, target.clientHeight];
  target.width = Math.round(width * ratio);
  target.height = Math.round(height * ratio);
  context.scale(ratio, ratio);
  const color = (name: string) => getComputedStyle(target).getPropertyValue(name).trim();
  const step = (width - LEFT) / times.length;
  context.font = "11px system-ui";
  context.textBaseline = "middle";
  cells.rows.forEach((row, index) => {
    const y = index * ROW;
    context.globalAlpha = 1;
    context.fillStyle = color("--soft");
    context.textAlign = "right";
    context.fillText(row.label, LEFT - 8, y + ROW / 2);
    row.rates.forEach((rate, column) => {
      const strength = heatStrength(rate, cells.most);
      context.globalAlpha = 1;
      context.fillStyle = color("--raised");
      if (rate !== null) context.fillRect(LEFT + column * step, y, Math.max(step - 1, 1), ROW - 1);
      if (strength === 0) return;
      context.globalAlpha = strength;
      context.fillStyle = color("--accent");
      context.fillRect(LEFT + column * step, y, Math.max(step - 1, 1), ROW - 1);
    });
  });
  context.globalAlpha = 1;
  const bottom = cells.rows.length * ROW;
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 1];
  context.strokeStyle = color("--text");
  if (place !== null) {
    context.strokeRect(LEFT + place.column * step - 0.5, place.row * ROW - 0.5, Math.max(step, 2), ROW);
  }
  context.fillStyle = color("--soft");
  for (const [share, align] of [
    [0, "left"],
    [0.5, "center"],
    [1, "right"],
  ] as const) {
    context.textAlign = align;
    context.fillText(formatClock(first + (last - first) * share, language).slice(0, 5), LEFT + (width - LEFT) * share, bottom + BOTTOM / 2 + 2);
  }
}
