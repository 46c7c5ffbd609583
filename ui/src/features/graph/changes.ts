/** What a comparison says of one node or edge, in words. */
import type { Change } from "../../api/client";
import type { Translate } from "../../app/language";
import { formatMilliseconds, formatShare } from "../../domain/format";

/** The kind that is drawn when there are several: the worst first. */
const ORDER = ["failing", "gone", "new", "slower", "recovered", "faster"] as const;

export function mainKind(change: Change): (typeof ORDER)[number] | null {
  return ORDER.find((kind) => change.kinds.includes(kind)) ?? null;
}

/** `slower 3 ms → 2.4 s`, `failing 0% → 52%`, `new`. */
export function changeText(change: Change, t: Translate): string {
  return change.kinds.map((kind) => [t(`change.${kind}`), values(change, kind)].filter((part) => part !== "").join(" ")).join(", ");
}

function values({ before, after }: Change, kind: string): string {
  if (after === null || kind === "new") return "";
  if (before === null) return formatShare(after.errorRatio ?? 0);
  if (kind === "slower" || kind === "faster") return `${formatMilliseconds(before.p95Milliseconds)} → ${formatMilliseconds(after.p95Milliseconds)}`;
  return `${formatShare(before.errorRatio ?? 0)} → ${formatShare(after.errorRatio ?? 0)}`;
}
