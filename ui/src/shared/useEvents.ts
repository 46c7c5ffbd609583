/** The tab's stream of events: it keeps the graph up to date, and has asked again what is stale. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { ApiError, type GraphQuery, type TrafficGraph } from "../api/client";
import { applyChange, follow, type Topic } from "../api/events";

/** The first words of the keys of what is kept. */
const STALE_BY_TOPIC: Record<Topic, readonly string[]> = {
  changes: ["changes"],
  config: ["config", "distribution", "details", "summaries"],
  inventory: ["namespaces", "services", "workloads", "mesh", "details", "summaries"],
};

let open = false;
const listeners = new Set<() => void>();

function noteLive(live: boolean): void {
  if (live === open) return;
  open = live;
  for (const listener of listeners) listener();
}

const watch = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Whether news come by themselves. */
export const useLive = (): boolean => useSyncExternalStore(watch, () => open);

/** How often to ask for what events tell of: never while they come. */
export const usePolling = (milliseconds: number): number | false => (useLive() ? false : milliseconds);

export const graphKey = (query: GraphQuery) => ["graph", query] as const;

/**
 * Follow events while the caller is shown, of a graph if one is given; gives why that graph can't be read just now.
 * Until it is `ready` nothing is followed: the first answer to a question must not share the server with the first event.
 */
export function useEvents(query: GraphQuery | null, ready = true): ApiError | null {
  const queries = useQueryClient();
  const [failure, setFailure] = useState<ApiError | null>(null);
  const text = query === null ? "" : JSON.stringify(query);
  useEffect(() => {
    if (!ready || typeof EventSource === "undefined") return;
    const asked = text === "" ? null : (JSON.parse(text) as GraphQuery);
    // Differences are of the graph that was told before, whatever has been asked for meanwhile. What was asked for may be
    // newer than what is told: the streams look at every third second.
    let told: TrafficGraph | undefined;
    const put = (graph: TrafficGraph | undefined) => {
      setFailure(null);
      told = graph;
      if (asked === null || graph === undefined) return;
      const kept = queries.setQueryData<TrafficGraph>(graphKey(asked), (known) => (known !== undefined && known.timestamp > graph.timestamp ? known : graph));
      // What is kept says the same with the objects it had before. Going on from these, what has not changed need not be
      // compared again, which takes longer than to draw.
      if (kept?.timestamp === graph.timestamp) told = kept;
    };
    return follow(asked, {
      live: noteLive,
      graph: put,
      change: (change) => put(told && applyChange(told, change)),
      tick: (timestamp) => put(told && { ...told, timestamp }),
      failure: ({ code, message, hint }) => setFailure(new ApiError(code, message, hint, 503)),
      stale: (topics) => {
        const words = new Set(topics.flatMap((topic) => STALE_BY_TOPIC[topic]));
        void queries.invalidateQueries({ predicate: ({ queryKey }) => words.has(String(queryKey[0])) });
      },
    });
  }, [queries, text, ready]);
  return failure;
}
