/** What of a graph is shown: without what is hidden, and of one node only its surroundings. */
import type { GraphEdge, TrafficGraph } from "../api/client";
import { compileFind, FindError, type Finder } from "./find";

export interface Focus {
  id: string;
  hops: number;
}

/** An expression compiled, or why it cannot be. */
export function tryFind(text: string): { finder: Finder | null; error: FindError | null } {
  try {
    return { finder: text.trim() === "" ? null : compileFind(text), error: null };
  } catch (error) {
    if (error instanceof FindError) return { finder: null, error };
    throw error;
  }
}

/**
 * Without the nodes and edges that `hidden` finds. Of an expression about traffic only edges go, and the nodes that lose
 * their last edge by it.
 */
export function hideFound(graph: TrafficGraph, hidden: Finder | null): TrafficGraph {
  if (hidden === null) return graph;
  const gone = new Set(hidden.aboutTraffic ? [] : graph.nodes.filter(hidden.node).map((node) => node.id));
  const edges = graph.edges.filter((edge) => !gone.has(edge.source) && !gone.has(edge.target) && !hidden.edge(edge));
  const before = ends(graph.edges);
  const after = ends(edges);
  const nodes = graph.nodes.filter((node) => !gone.has(node.id) && (after.has(node.id) || !before.has(node.id)));
  return { ...graph, nodes, edges };
}

/** Only what is at most so many steps away, along or against the traffic. An unknown node shows everything. */
export function focusOn(graph: TrafficGraph, focus: Focus | null): TrafficGraph {
  if (focus === null || !graph.nodes.some((node) => node.id === focus.id)) return graph;
  const near = new Set([focus.id]);
  for (let hop = 0; hop < focus.hops; hop += 1) {
    const next = graph.edges.filter((edge) => near.has(edge.source) || near.has(edge.target));
    for (const id of ends(next)) near.add(id);
  }
  return {
    ...graph,
    nodes: graph.nodes.filter((node) => near.has(node.id)),
    edges: graph.edges.filter((edge) => near.has(edge.source) && near.has(edge.target)),
  };
}

function ends(edges: readonly GraphEdge[]): Set<string> {
  return new Set(edges.flatMap((edge) => [edge.source, edge.target]));
}
