/** One edge: line style and arrow by health, a label with a lock, and dots that move with the traffic. */
import { memo } from "react";
import type { Change, GraphEdge } from "../../api/client";
import { useText } from "../../app/language";
import type { Selection } from "../../domain/address";
import { formatMilliseconds, formatShare } from "../../domain/format";
import { routePath, type Route } from "../../domain/layout";
import { InnerIcon } from "../../shared/icons";
import { changeText, mainKind } from "./changes";

interface Properties {
  edge: GraphEdge;
  route: Route;
  /** Who calls whom, for those who cannot see the line. */
  ends: string;
  text: string;
  /** Null where nothing is compared, or nothing changed. */
  change: Change | null;
  /** Too small to read: the line alone is drawn. */
  simple: boolean;
  selected: boolean;
  faded: boolean;
  onSelect: (selection: Selection) => void;
}

/** From here on an edge tells its p95 unasked: a delay is no error, so nothing else would show it. */
const SLOW_MILLISECONDS = 1000;

export const EdgeLine = memo(function EdgeLine({ edge, route, ends, text, change, simple, selected, faded, onSelect }: Properties) {
  const t = useText();
  const path = routePath(route.points, simple ? 0 : undefined);
  const failing = edge.errorRatio !== null && edge.errorRatio > 0;
  const slow = edge.p95Milliseconds !== null && edge.p95Milliseconds >= SLOW_MILLISECONDS;
  const told = [text, failing ? formatShare(edge.errorRatio) : "", slow ? formatMilliseconds(edge.p95Milliseconds) : ""];
  const kind = lineKind(edge);
  const words = change !== null ? changeText(change, t) : text === "" ? "" : [...new Set(told.filter((part) => part !== ""))].join(" · ");
  const select = () => onSelect({ kind: "edge", id: edge.id });
  const classes = ["edge", `edge-${kind}`, change !== null && `edge-change-${mainKind(change)}`, slow && "slow", selected && "selected", faded && "faded"];
  return (
    <g
      className={classes.filter(Boolean).join(" ")}
      role="button"
      tabIndex={0}
      aria-pressed={selected}
      aria-label={`${ends}, ${edge.protocol}, ${words}, ${t(`health.${edge.health.status}`)}`}
      data-edge={edge.id}
      onClick={select}
      onKeyDown={(event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          select();
        }
      }}
    >
      {!simple && <path className="reach" d={path} />}
      <path className="line" d={path} markerEnd={simple ? undefined : `url(#arrow-${kind === "idle" || kind === "notReady" ? "healthy" : kind})`} />
      {!simple && <path className={`dots dots-${speed(edge)}`} d={path} />}
      {!simple && words !== "" && <EdgeChip edge={edge} route={route} words={words} />}
    </g>
  );
});

function lineKind(edge: GraphEdge): string {
  return edge.health.status === "healthy" && edge.protocol === "tcp" ? "tcp" : edge.health.status;
}

function EdgeChip({ edge, route, words }: { edge: GraphEdge; route: Route; words: string }) {
  const secured = edge.mtlsRatio;
  const icon = secured === null ? 0 : 15;
  const width = textWidth(words) + icon + 16;
  return (
    <g className="chip" transform={`translate(${route.label.x - width / 2} ${route.label.y - 11})`}>
      <rect width={width} height={22} rx={11} />
      {secured !== null && (
        <g className={secured < 1 ? "lock open" : "lock"}>
          <InnerIcon name={secured < 1 ? "unlock" : "lock"} x={7} y={4.5} size={13} />
        </g>
      )}
      <text x={8 + icon} y={15}>
        {words}
      </text>
    </g>
  );
}

/** An estimate that needs no measuring: digits are 6.6 wide at this size, Hangul 11, the rest 5.8. */
function textWidth(words: string): number {
  return [...words].reduce((sum, letter) => sum + (/[가-힣]/.test(letter) ? 11 : /[.·, ]/.test(letter) ? 3.6 : /[m%]/.test(letter) ? 9.6 : 6.7), 0);
}

function speed(edge: GraphEdge): "none" | "slow" | "middle" | "fast" {
  const rate = edge.protocol === "tcp" ? edge.bytesSentPerSecond / 2000 : edge.requestsPerSecond;
  if (rate <= 0) return "none";
  return rate < 1 ? "slow" : rate < 20 ? "middle" : "fast";
}
