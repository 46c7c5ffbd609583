/** Zooming by meaning: the cluster, its namespaces, their apps, workloads and pods; each a closer look at the one before. */
import type { GraphNode, GraphType } from "../api/client";
import type { GraphAddress } from "./address";

/** From far to near. */
export const LEVELS = ["cluster", "namespace", "app", "workload", "pod"] as const satisfies readonly GraphType[];

/** Versions and services lie beside apps: another look from the same distance. */
const BESIDE: Partial<Record<GraphType, (typeof LEVELS)[number]>> = { versionedApp: "app", service: "app" };

/** The level one step nearer (1) or farther (-1); null where there is none. */
export function stepFrom(type: GraphType, step: 1 | -1): GraphType | null {
  const level = BESIDE[type] ?? type;
  return LEVELS[LEVELS.findIndex((known) => known === level) + step] ?? null;
}

/** What shows the inside of a node: of an app or workload, one level nearer with its own parts found. Null without inside. */
export function inside(node: GraphNode): Partial<GraphAddress> | null {
  const look = { selection: null, focus: null };
  switch (node.type) {
    case "cluster":
      return { ...look, graphType: "namespace" };
    case "namespace":
      return { ...look, graphType: "app", namespaces: [node.namespace] };
    case "app":
      return { ...look, graphType: "workload", find: found(node, "app") + (node.version === "" ? "" : ` and version = ${quoted(node.version)}`) };
    case "workload":
    case "gateway":
      return { ...look, graphType: "pod", find: found(node, "workload") };
    default:
      return null;
  }
}

const found = (node: GraphNode, field: "app" | "workload"): string => `namespace = ${quoted(node.namespace)} and ${field} = ${quoted(node[field])}`;

const quoted = (text: string): string => (/^[\w.-]+$/.test(text) ? text : `"${text}"`);
