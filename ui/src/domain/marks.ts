/** Where changes of the configuration stand on a time plot, and where each of them can be read. */
import type { ConfigChange } from "../api/client";

export interface Mark {
  /** Its place between the first time and the last one, 0 to 1. */
  share: number;
  /** What was changed there, the oldest first; several when they would lie on each other. */
  changes: readonly ConfigChange[];
}

/** Closer than this share of the plot's width, two changes become one mark. */
const CLOSE = 0.03;

export function placeMarks(changes: readonly ConfigChange[], first: number, last: number): Mark[] {
  const marks: { share: number; changes: ConfigChange[] }[] = [];
  const within = changes.filter((change) => change.time >= first && change.time <= last);
  for (const change of within.toSorted((a, b) => a.time - b.time)) {
    const share = last > first ? (change.time - first) / (last - first) : 0;
    const before = marks.at(-1);
    if (before !== undefined && share - before.share < CLOSE) before.changes.push(change);
    else marks.push({ share, changes: [change] });
  }
  return marks;
}

/** The journal at a change (its difference is open), or at several: at the first, among those of their time. */
export function markAddress(changes: readonly ConfigChange[]): string {
  const [first, last] = [changes[0], changes.at(-1)];
  if (first === undefined || last === undefined) return "/changes";
  if (changes.length === 1) return `/changes?change=${first.id}`;
  return `/changes?from=${Math.floor(first.time)}&to=${Math.ceil(last.time)}&change=${first.id}`;
}
