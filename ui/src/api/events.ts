/** What the console tells without being asked: the graph as it changes, and what is to be asked for again. */
import { graphParameters, type GraphQuery, type TrafficGraph } from "./client";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type GraphChange = Schemas["GraphChange"];
export type Topic = Schemas["StaleTopics"]["topics"][number];

export interface Listeners {
  /** The stream is open, or can't be had for now: then whoever needs news asks for it. */
  live: (open: boolean) => void;
  graph: (graph: TrafficGraph) => void;
  change: (change: GraphChange) => void;
  tick: (timestamp: number) => void;
  failure: (error: Schemas["Failure"]["error"]) => void;
  stale: (topics: readonly Topic[]) => void;
}

/** How long a stream may take to come back before it counts as lost: each ends after a minute and opens anew at once. */
const PATIENCE_MILLISECONDS = 3000;
const RETRY_MILLISECONDS = 15_000;

/** Follow events, of a graph too if one is given, until the returned function is called. */
export function follow(query: GraphQuery | null, listeners: Listeners): () => void {
  const address = query === null ? "/api/events" : `/api/events?${graphParameters(query).toString()}&graph=true`;
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const wait = (then: () => void, milliseconds: number) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      then();
    }, milliseconds);
  };
  const stopWaiting = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  const open = () => {
    source = new EventSource(address);
    source.onopen = () => {
      stopWaiting();
      listeners.live(true);
    };
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) {
        // Refused: by a session that has ended, or because too many follow already.
        listeners.live(false);
        stopWaiting();
        wait(open, RETRY_MILLISECONDS);
      } else wait(() => listeners.live(false), PATIENCE_MILLISECONDS);
    };
    const on = <Data>(name: string, take: (data: Data) => void) =>
      source?.addEventListener(name, (event: MessageEvent<string>) => take(JSON.parse(event.data) as Data));
    on("graph", listeners.graph);
    on("change", listeners.change);
    on<{ timestamp: number }>("tick", ({ timestamp }) => listeners.tick(timestamp));
    on<Schemas["Failure"]>("failure", ({ error }) => listeners.failure(error));
    on<Schemas["StaleTopics"]>("stale", ({ topics }) => listeners.stale(topics));
  };
  const close = () => {
    stopWaiting();
    source?.close();
    source = null;
  };
  // Browsers open six connections to a host: a tab that nobody sees leaves its own to the others.
  const look = () => {
    close();
    if (document.visibilityState === "visible") open();
    else listeners.live(false);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    close();
    listeners.live(false);
  };
}

/** The graph after a change. What has not changed stays the same object, so that it is not drawn again. */
export function applyChange(graph: TrafficGraph, change: GraphChange): TrafficGraph {
  return {
    ...graph,
    timestamp: change.timestamp,
    warnings: change.warnings,
    nodes: merge(graph.nodes, change.nodes, change.goneNodes),
    edges: merge(graph.edges, change.edges, change.goneEdges),
  };
}

function merge<Part extends { id: string }>(known: Part[], changed: readonly Part[], gone: readonly string[]): Part[] {
  if (changed.length === 0 && gone.length === 0) return known;
  const news = new Map(changed.map((part) => [part.id, part]));
  const went = new Set(gone);
  const kept = known.filter((part) => !went.has(part.id)).map((part) => take(news, part.id) ?? part);
  return news.size === 0 ? kept : [...kept, ...news.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
}

function take<Part>(parts: Map<string, Part>, id: string): Part | undefined {
  const found = parts.get(id);
  parts.delete(id);
  return found;
}
