/** The words of the graph: names of nodes, texts on edges. */
import type { GraphEdge, GraphNode } from "../../api/client";
import type { Translate } from "../../app/language";
import type { EdgeLabel } from "../../domain/address";
import { formatBytes, formatMilliseconds, formatRate, formatShare } from "../../domain/format";
import { nodeName } from "../../domain/names";

/** Where what holds for the whole mesh is. */
export const ROOT_NAMESPACE = "istio-system";

export function nodeTitle(node: GraphNode, t: Translate): string {
  if (node.type === "unknown") return node.id === "unknown" ? t("unknown") : t("unknownTarget");
  if (node.type === "passthrough" || node.type === "blackhole") return t(node.type);
  if (node.type === "cluster") return t("kind.cluster");
  return nodeName(node).title;
}

export function fullName(node: GraphNode, t: Translate): string {
  return [nodeTitle(node, t), nodeName(node).version].filter((part) => part !== "").join(" ");
}

export function durationText(seconds: number, t: Translate): string {
  if (seconds < 60 || seconds % 60 !== 0) return t("seconds.unit", { n: Math.round(seconds) });
  if (seconds % 3600 !== 0) return t("minutes.unit", { n: seconds / 60 });
  return seconds % 86_400 === 0 ? t("days.unit", { n: seconds / 86_400 }) : t("hours.unit", { n: seconds / 3600 });
}

export function rateText(perSecond: number, t: Translate): string {
  const { value, unit } = formatRate(perSecond);
  return value + t(unit === "second" ? "perSecond" : unit === "minute" ? "perMinute" : "perHour");
}

/** Bytes of both ways. */
export function bytesText(edge: { bytesSentPerSecond: number; bytesReceivedPerSecond: number }, t: Translate): string {
  return byteRateText(edge.bytesSentPerSecond + edge.bytesReceivedPerSecond, t);
}

export function byteRateText(perSecond: number, t: Translate): string {
  return formatBytes(perSecond) + t("perSecond");
}

/** What an edge says. TCP has no requests: its rate is its bytes. */
export function edgeText(edge: GraphEdge, label: EdgeLabel, shares: ReadonlyMap<string, number>, t: Translate): string {
  const tcp = edge.protocol === "tcp";
  switch (label) {
    case "rate":
      return tcp ? bytesText(edge, t) : rateText(edge.requestsPerSecond, t);
    case "errors":
      return tcp ? "" : formatShare(edge.errorRatio);
    case "average":
      return tcp ? "" : formatMilliseconds(edge.averageMilliseconds);
    case "p50":
      return tcp ? "" : formatMilliseconds(edge.p50Milliseconds);
    case "p95":
      return tcp ? "" : formatMilliseconds(edge.p95Milliseconds);
    case "p99":
      return tcp ? "" : formatMilliseconds(edge.p99Milliseconds);
    case "share":
      return tcp ? "" : formatShare(shares.get(edge.id) ?? null);
    case "bytes":
      return bytesText(edge, t);
    case "requestBytes":
      return byteRateText(edge.bytesReceivedPerSecond, t);
    case "responseBytes":
      return byteRateText(edge.bytesSentPerSecond, t);
    case "none":
      return "";
  }
}
