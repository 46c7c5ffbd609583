/** From latency buckets over time to cells: which rows are worth drawing, and how strong each cell is. */
import type { Heat } from "../api/pages";
import { formatMilliseconds } from "./format";

export interface HeatRow {
  label: string;
  /** The bucket in words: `25–50 ms`. */
  range: string;
  rates: (number | null)[];
}

export interface HeatCells {
  rows: HeatRow[];
  most: number;
  totals: (number | null)[];
}

/** Rows from the slowest bucket that was ever hit down to the fastest one; empty without requests. */
export function heatCells({ bounds, rates, times }: Heat): HeatCells {
  const hit = rates.map((line) => line.some((value) => value !== null && value > 0));
  const [first, last] = [hit.indexOf(true), hit.lastIndexOf(true)];
  const rows: HeatRow[] = [];
  for (let index = last; first >= 0 && index >= first; index -= 1) {
    const [below, bound] = [index === 0 ? 0 : (bounds[index - 1] ?? 0), bounds[index] ?? null];
    rows.push({
      label: bound === null ? `> ${formatMilliseconds(below)}` : `≤ ${formatMilliseconds(bound)}`,
      range: bound === null ? `> ${formatMilliseconds(below)}` : `${below === 0 ? "0" : formatMilliseconds(below)} – ${formatMilliseconds(bound)}`,
      rates: rates[index] ?? [],
    });
  }
  const most = Math.max(0, ...rates.flat().map((value) => value ?? 0));
  const totals = times.map((_, column) => {
    const values = rates.map((line) => line[column] ?? null).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
  });
  return { rows, most, totals };
}

/** 0 to 1. By the square root: a few slow requests must stay visible beside many fast ones. */
export function heatStrength(rate: number | null, most: number): number {
  return rate === null || rate <= 0 || most <= 0 ? 0 : 0.12 + 0.88 * Math.sqrt(Math.min(1, rate / most));
}
