/** What nodes are called. */
import type { GraphEdge, GraphNode } from "../api/client";

export interface NodeName {
  title: string;
  version: string;
}

/** `title` is the name without its version, which is shown apart. Empty for nodes whose name is a translated word. */
export function nodeName(node: GraphNode): NodeName {
  switch (node.type) {
    case "service":
      return { title: node.service, version: "" };
    case "app":
      return { title: node.app, version: node.version };
    case "namespace":
      return { title: node.namespace, version: "" };
    case "pod":
      return { title: node.pod, version: node.version };
    case "workload":
    case "gateway": {
      const suffix = `-${node.version}`;
      const split = node.version !== "" && node.workload.endsWith(suffix);
      return { title: split ? node.workload.slice(0, -suffix.length) : node.workload, version: node.version };
    }
    default:
      return { title: "", version: "" };
  }
}

/** The share of the requests that its source sends which each edge carries, by its id; without requests there is none. */
export function edgeShares(edges: readonly GraphEdge[]): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const edge of edges) totals.set(edge.source, (totals.get(edge.source) ?? 0) + edge.requestsPerSecond);
  const sent = edges.filter((edge) => (totals.get(edge.source) ?? 0) > 0);
  return new Map(sent.map((edge) => [edge.id, edge.requestsPerSecond / (totals.get(edge.source) ?? 1)]));
}

/** The width of a node's card, from its name alone: numbers that change must not move the graph. */
export function cardWidth(title: string): number {
  const letters = Math.min([...title].length, MOST_LETTERS);
  return Math.round(Math.min(232, Math.max(160, 76 + letters * 7.6)));
}

export const MOST_LETTERS = 21;

/** Cut in the middle: pods of a workload differ at their end. */
export function shortenInside(text: string, length: number): string {
  const end = Math.floor((length - 1) / 2);
  return text.length <= length ? text : `${text.slice(0, length - 1 - end)}…${text.slice(-end)}`;
}

/** Cut a text that would not fit; the whole of it is in the title. */
export function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
