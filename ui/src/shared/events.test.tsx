// @vitest-environment jsdom
import { useQuery } from "@tanstack/react-query";
import { act, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { fetchGraph, type GraphQuery, type TrafficGraph } from "../api/client";
import { serve, show } from "../testing";
import { graphKey, useEvents, useLive, usePolling } from "./useEvents";

const QUERY: GraphQuery = { namespaces: ["shop"], durationSeconds: 60, graphType: "workload", at: null, compareSeconds: null, compareAt: null, idle: false, services: false };
const node = (id: string, status = "healthy") => ({ id, health: { status, reasons: [] } });
const graph = (timestamp: number, ...nodes: object[]) => ({ timestamp, durationSeconds: 60, graphType: "workload", nodes, edges: [], warnings: [] });

class Source extends EventTarget {
  static readonly CLOSED = 2;
  static opened: Source[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(readonly address: string) {
    super();
    Source.opened.push(this);
  }
  close(): void {
    this.readyState = Source.CLOSED;
  }
  come(): void {
    this.readyState = 1;
    act(() => this.onopen?.());
  }
  refuse(): void {
    this.readyState = Source.CLOSED;
    act(() => this.onerror?.());
  }
  say(name: string, data: unknown): void {
    act(() => void this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data) })));
  }
}

const latest = (): Source => {
  const found = Source.opened.at(-1);
  if (found === undefined) throw new Error("nothing is followed");
  return found;
};

const seen: TrafficGraph[] = [];

function Part() {
  const failure = useEvents(QUERY);
  const { data } = useQuery({ queryKey: graphKey(QUERY), queryFn: ({ signal }) => fetchGraph(QUERY, signal) });
  const stale = useQuery({ queryKey: ["config"], queryFn: () => fetch("/api/config").then((answer) => answer.text()) });
  if (data !== undefined && seen.at(-1) !== data) seen.push(data);
  return (
    <p data-testid="part">
      {[useLive() ? "live" : "asking", String(usePolling(7)), data?.timestamp, data?.nodes.map(({ id }) => id).join(" "), failure?.code ?? "well", stale.status].join("|")}
    </p>
  );
}

const told = () => screen.getByTestId("part").textContent;

describe("Events", () => {
  beforeEach(() => {
    Source.opened = [];
    seen.length = 0;
    vi.stubGlobal("EventSource", Source);
  });

  it("keep a graph up to date, and what has not changed the same", async () => {
    const asked = serve({ "/api/graph": () => graph(1, node("a"), node("b")), "/api/config": () => ({}) });
    show(<Part />);
    await waitFor(() => expect(told()).toBe("asking|7|1|a b|well|success"));
    expect(latest().address).toBe("/api/events?namespaces=shop&duration=60s&graphType=workload&most=1200&graph=true");
    latest().come();
    expect(told()).toContain("live|false");
    latest().say("graph", graph(2, node("a"), node("b")));
    latest().say("change", { timestamp: 3, nodes: [node("b", "failure"), node("aa")], edges: [], goneNodes: [], goneEdges: [], warnings: [] });
    expect(told()).toContain("|3|a aa b|");
    const [first, second] = seen.slice(-2);
    expect(second?.nodes[0]).toBe(first?.nodes[0]);
    expect(second?.edges).toBe(first?.edges);
    latest().say("tick", { timestamp: 6 });
    expect(told()).toContain("|6|a aa b|");
    expect(seen.at(-1)?.nodes).toBe(second?.nodes);
    latest().say("change", { timestamp: 9, nodes: [], edges: [], goneNodes: ["a", "aa"], goneEdges: [], warnings: [] });
    expect(told()).toContain("|9|b|");
    latest().say("graph", graph(12, node("z")));
    expect(told()).toContain("|12|z|");
    expect(asked.filter(({ path }) => path === "/api/graph")).toHaveLength(1);
  });

  it("say that the graph can't be read, and that it can again", async () => {
    serve({ "/api/graph": () => graph(1, node("a")), "/api/config": () => ({}) });
    show(<Part />);
    await waitFor(() => expect(told()).toContain("|a|well|success"));
    latest().say("failure", { error: { code: "metricsUnavailable", message: "gone", hint: "" } });
    expect(told()).toContain("|1|a|metricsUnavailable|");
    latest().say("graph", graph(3, node("a")));
    expect(told()).toContain("|3|a|well|");
  });

  it("have asked again what is stale, and nothing else", async () => {
    const asked = serve({ "/api/graph": () => graph(1), "/api/config": () => ({}) });
    const count = (path: string) => asked.filter((one) => one.path === path).length;
    show(<Part />);
    await waitFor(() => expect(told()).toContain("success"));
    latest().say("stale", { topics: ["inventory"] });
    latest().say("stale", { topics: ["config"] });
    await waitFor(() => expect(count("/api/config")).toBe(2));
    expect(count("/api/graph")).toBe(1);
  });

  it("are asked for when a stream is refused, and left to others while nobody looks", async () => {
    serve({ "/api/graph": () => graph(1), "/api/config": () => ({}) });
    const { unmount } = show(<Part />);
    await waitFor(() => expect(told()).toContain("success"));
    latest().come();
    latest().refuse();
    expect(told()).toContain("asking|7");
    const visible = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    expect(Source.opened).toHaveLength(1);
    visible.mockReturnValue("visible");
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    expect(Source.opened).toHaveLength(2);
    latest().come();
    expect(told()).toContain("live|false");
    unmount();
    expect(latest().readyState).toBe(Source.CLOSED);
    visible.mockRestore();
  });
});
