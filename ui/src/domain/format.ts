/** Numbers as people read them. A small number is never shown as zero. */

export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e9) return `${significant(value / 1e9, 3)}G`;
  if (size >= 1e6) return `${significant(value / 1e6, 3)}M`;
  if (size >= 1e4) return `${significant(value / 1e3, 3)}k`;
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return trim(value.toFixed(1));
  if (size >= 0.01) return trim(value.toFixed(2));
  return significant(value, 1);
}

/** Requests per second; below one a minute it is told per minute or per hour, which is easier to imagine. */
export function formatRate(perSecond: number): { value: string; unit: "second" | "minute" | "hour" } {
  if (perSecond === 0 || perSecond >= 0.05) return { value: formatNumber(perSecond), unit: "second" };
  if (perSecond * 60 >= 0.05) return { value: formatNumber(perSecond * 60), unit: "minute" };
  return { value: formatNumber(perSecond * 3600), unit: "hour" };
}

export function formatMilliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value >= 10_000) return `${trim((value / 1000).toFixed(1))} s`;
  if (value >= 1000) return `${trim((value / 1000).toFixed(2))} s`;
  return `${value >= 10 ? value.toFixed(0) : trim(value.toFixed(1))} ms`;
}

export function formatShare(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined) return "–";
  const percent = ratio * 100;
  if (percent === 0) return "0%";
  if (percent < 0.1) return "<0.1%";
  if (percent > 99.9 && percent < 100) return ">99.9%";
  return `${trim(percent.toFixed(1))}%`;
}

export function formatBytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${formatNumber(size)} ${units[unit] ?? "B"}`;
}

export function formatClock(seconds: number, language: string): string {
  return new Date(seconds * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** The time of day, and the day too unless it is today. */
export function formatWhen(seconds: number, language: string, now = Date.now()): string {
  const moment = new Date(seconds * 1000);
  if (moment.toDateString() === new Date(now).toDateString()) return formatClock(seconds, language);
  return formatMoment(moment.getTime(), language);
}

/** A time that stands beside another one: with the day only when that is another. */
export function formatBeside(seconds: number, other: number, language: string): string {
  const same = new Date(seconds * 1000).toDateString() === new Date(other * 1000).toDateString();
  return same ? formatClock(seconds, language) : formatWhen(seconds, language);
}

/** What `datetime-local` inputs hold: the user's own time, without a zone. */
export function localInput(seconds: number): string {
  const moment = new Date(seconds * 1000);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function readLocalInput(text: string): number | null {
  const milliseconds = new Date(text).getTime();
  return Number.isFinite(milliseconds) ? Math.floor(milliseconds / 1000) : null;
}

function significant(value: number, digits: number): string {
  return trim(Number(value.toPrecision(digits)).toFixed(Math.min(12, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value)))))));
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A day of any year, with the time; from RFC 3339. */
export function formatDay(moment: string, language: string): string {
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString(language, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
}

/** A moment with its date; from milliseconds or RFC 3339. Empty when it is none. */
export function formatMoment(moment: string | number, language: string): string {
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString(language, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}
