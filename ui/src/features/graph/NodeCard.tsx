/** One node: what it is, its name and version, its load, its health, and badges on its lower edge. */
import { memo } from "react";
import type { Change, GraphNode } from "../../api/client";
import { useText } from "../../app/language";
import type { TextKey } from "../../app/texts";
import type { Selection } from "../../domain/address";
import type { Box } from "../../domain/layout";
import { MOST_LETTERS, nodeName, shorten, shortenInside } from "../../domain/names";
import { HealthShape } from "../../shared/health";
import { BADGE_ICONS, InnerIcon } from "../../shared/icons";
import { changeText, mainKind } from "./changes";
import { bytesText, nodeTitle, rateText } from "./words";

interface Properties {
  node: GraphNode;
  box: Box;
  change: Change | null;
  /** Too small to read: the card alone is drawn, filled by health. */
  simple: boolean;
  selected: boolean;
  faded: boolean;
  /** Somebody has put it where it is. */
  pinned: boolean;
  onMove: (id: string, dx: number, dy: number) => void;
  onPin: (id: string) => void;
  onSelect: (selection: Selection) => void;
}

const MOST_BADGES = 5;
const STEP = 20;
const STEPS: Record<string, [number, number]> = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export const NodeCard = memo(function NodeCard({ node, box, change, simple, selected, faded, pinned, onMove, onPin, onSelect }: Properties) {
  const t = useText();
  const { version } = nodeName(node);
  const title = nodeTitle(node, t);
  const load = useLoad(node);
  const badges = node.badges.slice(0, MOST_BADGES).map((badge) => t(`badge.${badge}` as TextKey));
  // What is written on the card comes first, then what only its shape and colour tell.
  const written = [title, [version, load].filter((part) => part !== "").join(" · ")].join(" ").trim();
  const changed = change === null ? "" : changeText(change, t);
  const spoken = [written, ...(changed === "" ? [] : [changed]), ...badges, ...(pinned ? [t("pinned")] : []), t(`kind.${node.type}`), node.namespace, t(`health.${node.health.status}`)].join(", ");
  const select = () => onSelect({ kind: "node", id: node.id });
  const classes = ["node", simple && "simple", `node-${node.type}`, `node-is-${node.health.status}`, change !== null && `node-change-${mainKind(change)}`, selected && "selected", faded && "faded", pinned && "pinned"];
  return (
    <g
      className={classes.filter(Boolean).join(" ")}
      transform={`translate(${box.x} ${box.y})`}
      role="button"
      tabIndex={0}
      aria-pressed={selected}
      aria-label={spoken}
      data-node={node.id}
      onClick={select}
      aria-keyshortcuts="P Shift+ArrowLeft Shift+ArrowRight Shift+ArrowUp Shift+ArrowDown"
      onKeyDown={(event) => {
        const step = event.shiftKey ? STEPS[event.key] : undefined;
        if (step !== undefined) {
          event.preventDefault();
          onMove(node.id, ...step);
        } else if (event.key.toLowerCase() === "p" && !event.ctrlKey && !event.metaKey && !event.altKey) {
          onPin(node.id);
        } else if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          select();
        }
      }}
    >
      {(simple || title.length > MOST_LETTERS) && <title>{title}</title>}
      <rect className="card" width={box.width} height={box.height} rx={node.type === "service" ? box.height / 2 : 12} />
      {!simple && (
        <>
          <circle className="emblem" cx={31} cy={box.height / 2} r={17} />
          <InnerIcon name={node.type} x={21} y={box.height / 2 - 10} size={20} />
          <g className="words">
            <text className="title" x={57} y={box.height / 2 - 4}>
              {(node.type === "pod" ? shortenInside : shorten)(title, MOST_LETTERS)}
            </text>{" "}
            <text className="detail" x={57} y={box.height / 2 + 15}>
              {version !== "" && <tspan className="version">{shorten(version, 8)}</tspan>}
              {version !== "" && load !== "" && <tspan> · </tspan>}
              <tspan>{load}</tspan>
            </text>
          </g>{" "}
          {change !== null && (change.before === null || change.after === null) && (
            <text className="change-note" x={box.width - 16} y={-6} textAnchor="end">
              {changed}
            </text>
          )}
          {pinned && <InnerIcon name="pin" x={box.width - 26} y={box.height - 20} size={14} />}
          <HealthShape status={node.health.status} x={box.width - 3} y={5} />
          {node.badges.slice(0, MOST_BADGES).map((badge, index) => (
            <g key={badge} className={`badge badge-${badge}`} transform={`translate(${57 + index * 23} ${box.height})`}>
              <title>{badges[index]}</title>
              <circle r={10} />
              <InnerIcon name={BADGE_ICONS[badge] ?? "route"} x={-6.5} y={-6.5} size={13} />
            </g>
          ))}
        </>
      )}
    </g>
  );
});

/** The load a node is under: what comes in, or for callers what goes out. */
function useLoad(node: GraphNode): string {
  const t = useText();
  const { inbound, outbound } = node.traffic;
  const traffic = inbound.requestCount > 0 || inbound.bytesSentPerSecond > 0 ? inbound : outbound;
  if (traffic.requestCount > 0) return rateText(traffic.requestsPerSecond, t);
  return traffic.bytesSentPerSecond + traffic.bytesReceivedPerSecond > 0 ? bytesText(traffic, t) : "";
}
