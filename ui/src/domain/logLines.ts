/** Lines of a log that is still being written: pieces in, whole lines out, the oldest ones given up. */

export const MOST_LINES = 3000;

export interface LogText {
  lines: readonly string[];
  /** The beginning of a line whose end has not come yet. */
  rest: string;
  /** How many lines have been given up; also the number of the first line. */
  dropped: number;
}

export const NO_TEXT: LogText = { lines: [], rest: "", dropped: 0 };

export function addText(text: LogText, piece: string): LogText {
  const parts = (text.rest + piece).split("\n");
  const rest = parts.pop() ?? "";
  const lines = [...text.lines, ...parts.filter((line) => line !== "")];
  const excess = Math.max(0, lines.length - MOST_LINES);
  return { lines: excess > 0 ? lines.slice(excess) : lines, rest, dropped: text.dropped + excess };
}

/** A line in parts, every second of which is what is searched for. */
export function splitAround(line: string, wanted: string): string[] {
  if (wanted === "") return [line];
  const parts: string[] = [];
  const lower = line.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, from)) {
    parts.push(line.slice(from, at), line.slice(at, at + wanted.length));
    from = at + wanted.length;
  }
  parts.push(line.slice(from));
  return parts;
}
