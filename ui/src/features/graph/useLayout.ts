/** Computes layouts in a worker, one at a time; the last good layout stays until the next is ready. */
import { useEffect, useMemo, useState } from "react";
import type { ELK } from "elkjs/lib/elk-api";
import type { TrafficGraph } from "../../api/client";
import type { Translate } from "../../app/language";
import { layoutRequest, readLayout, topologyKey, type Direction, type Layout, type Topology } from "../../domain/layout";
import { cardWidth } from "../../domain/names";
import { nodeTitle } from "./words";

let engine: Promise<ELK> | null = null;

/** The engine is 1.4 MB of worker: fetched with the first graph, by pages that draw one and no other. */
function layoutEngine(): Promise<ELK> {
  engine ??= Promise.all([import("elkjs/lib/elk-api.js"), import("elkjs/lib/elk-worker.min.js?url")]).then(
    ([api, worker]) => new api.default({ workerFactory: () => new Worker(worker.default) }),
  );
  return engine;
}

export function useLayout(graph: TrafficGraph | undefined, t: Translate, direction: Direction): Layout | null {
  const [layout, setLayout] = useState<Layout | null>(null);
  useEffect(() => void layoutEngine(), []);
  const topology = useMemo<Topology | null>(() => {
    if (graph === undefined) return null;
    const nodes = graph.nodes.map((node) => ({ id: node.id, namespace: node.type === "namespace" ? "" : node.namespace, width: cardWidth(nodeTitle(node, t)) }));
    return { nodes, edges: graph.edges, direction };
  }, [graph, t, direction]);
  const key = topology === null ? "" : topologyKey(topology);

  useEffect(() => {
    if (topology === null || topology.nodes.length === 0) return;
    let wanted = true;
    void layoutEngine()
      .then((elk) => elk.layout(layoutRequest(topology)).catch(() => elk.layout(layoutRequest(topology, false))))
      .then((answer) => {
        if (wanted) setLayout(readLayout(key, answer, topology.edges));
      });
    return () => {
      wanted = false;
    };
    // The key stands for the topology: equal keys need no new layout.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);

  return layout;
}
