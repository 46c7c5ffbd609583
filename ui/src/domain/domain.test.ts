import { describe, expect, it } from "vitest";
import type { GraphEdge, GraphNode, TrafficGraph } from "../api/client";
import { readAddress, writeAddress } from "./address";
import { formatMilliseconds, formatNumber, formatRate, formatShare } from "./format";
import { layoutRequest, readLayout, routePath, topologyKey } from "./layout";
import { compileFind, FindError } from "./find";
import { edgeShares, nodeName } from "./names";
import { focusOn, hideFound } from "./shown";
import { writeYaml } from "./yaml";

const node = (parts: Partial<GraphNode>): GraphNode =>
  ({ id: "", type: "workload", namespace: "", workload: "", app: "", version: "", service: "", badges: [], ...parts }) as GraphNode;

describe("numbers", () => {
  it("never shows a small number as zero", () => {
    expect(formatNumber(0.000278)).toBe("0.0003");
    expect(formatRate(1 / 3600)).toEqual({ value: "1", unit: "hour" });
    expect(formatRate(1 / 60)).toEqual({ value: "1", unit: "minute" });
    expect(formatShare(0.0001)).toBe("<0.1%");
    expect(formatShare(0.9999)).toBe(">99.9%");
  });
  it("keeps three digits at most", () => {
    expect(formatNumber(8)).toBe("8");
    expect(formatNumber(12_345)).toBe("12.3k");
    expect(formatMilliseconds(1234)).toBe("1.23 s");
    expect(formatMilliseconds(null)).toBe("–");
  });
});

describe("names", () => {
  it("shows the version apart from the workload's name", () => {
    expect(nodeName(node({ workload: "reviews-v3", version: "v3" }))).toEqual({ title: "reviews", version: "v3" });
    expect(nodeName(node({ workload: "reviews", version: "v3" }))).toEqual({ title: "reviews", version: "v3" });
  });
  it("shares a source's requests among its edges", () => {
    const edges = [1, 3].map((rate, index) => ({ id: String(index), source: "a", requestsPerSecond: rate }) as GraphEdge);
    expect([...edgeShares(edges).values()]).toEqual([0.25, 0.75]);
  });
});

describe("find", () => {
  const traffic = { averageMilliseconds: null, p50Milliseconds: null, p99Milliseconds: null, mtlsRatio: null, requestsPerSecond: 8, requestCount: 480, errorRatio: 0.02, p95Milliseconds: 250, responseCodes: { "503": { UH: 9 } }, bytesReceivedPerSecond: 500, bytesSentPerSecond: 2100 };
  const found = node({ id: "workload:default/reviews-v3", namespace: "default", workload: "reviews-v3", version: "v3", badges: ["faultInjection"], health: { status: "degraded", reasons: [] }, traffic: { inbound: traffic } as unknown as GraphNode["traffic"] });
  const edge = { id: "e", source: "a", target: "b", protocol: "http", hosts: {}, health: { status: "healthy" }, ...traffic } as unknown as GraphEdge;
  it.each([
    ["", true, true],
    ["reviews fault", true, false],
    ["reviews mirroring", false, false],
    ["reviews or mirroring", true, false],
    ["not mirroring", true, true],
    ["namespace = default and version != v1", true, false],
    ['workload ~ "views-v"', true, false],
    ["rate > 5 and errors > 1%", true, true],
    ["rate > 5 and (errors >= 2% and p95 < 0.2s)", false, false],
    ["p95 > 200ms", true, true],
    ["health = degraded", true, false],
    ["protocol = HTTP", false, true],
    ["flag = UH or code = 500", false, true],
    ["p99 > 1", false, false],
    ["bytes > 2.5kB/s and requestBytes < 1kb", true, true],
    ["responseBytes < 2000", false, false],
  ])("%s", (text, ofNode, ofEdge) => {
    const finder = compileFind(text);
    expect([finder.node(found), finder.edge(edge)]).toEqual([ofNode, ofEdge]);
  });
  it.each([
    ["rate >", "unfinished"],
    ["rate > fast", "notNumber"],
    ["speed > 5", "unknownField"],
    ["(reviews", "unfinished"],
    ["reviews )", "unexpected"],
    ["name > 5", "notNumber"],
    ['"open', "unexpected"],
  ])("says what is wrong with %s", (text, reason) => {
    const told = (() => {
      try {
        compileFind(text);
        return "";
      } catch (error) {
        return error instanceof FindError ? error.reason : "something else";
      }
    })();
    expect(told).toBe(reason);
  });
});

describe("what is shown", () => {
  const nodes = ["a", "b", "c", "d"].map((id) => node({ id, namespace: id, health: { status: "healthy", reasons: [] } }));
  const edges = [["a", "b"], ["b", "c"]].map(([source, target]) => ({ id: `${source}>${target}`, source, target, protocol: source === "a" ? "tcp" : "http", health: { status: "healthy" } }));
  const graph = { nodes, edges } as unknown as TrafficGraph;
  const names = (shown: TrafficGraph) => shown.nodes.map((item) => item.id).join("");
  it("is not what is hidden, nor what only that connected", () => {
    expect(names(hideFound(graph, compileFind("namespace = b")))).toBe("d");
    expect(names(hideFound(graph, compileFind("protocol = tcp")))).toBe("bcd");
  });
  it("is near the node in focus", () => {
    expect(names(focusOn(graph, { id: "a", hops: 1 }))).toBe("ab");
    expect(names(focusOn(graph, { id: "a", hops: 2 }))).toBe("abc");
    expect(names(focusOn(graph, { id: "gone", hops: 1 }))).toBe("abcd");
  });
});

describe("address", () => {
  it("reads what it wrote", () => {
    const text = "namespaces=a%2Cb&duration=300&type=app&at=1700000000&idle=true&label=p95&view=table&find=rate+%3E+5&hide=tcp&focus=a&hops=2&edge=x%3Ey%7Chttp";
    expect(writeAddress(readAddress(new URLSearchParams(text))).toString()).toBe(text);
    expect(writeAddress(readAddress(new URLSearchParams("type=nonsense&duration=-1"))).toString()).toBe("");
  });
});

describe("layout", () => {
  const topology = { nodes: [{ id: "a", namespace: "x", width: 160 }, { id: "b", namespace: "", width: 160 }], edges: [{ id: "e", source: "a", target: "b" }], direction: "RIGHT" as const };
  it("puts namespaces around their nodes", () => {
    expect(layoutRequest(topology).children?.map((child) => child.id)).toEqual(["frame:x", "b"]);
  });
  it("arranges what is too dense to be followed by some of its edges, and draws them all", () => {
    const nodes = Array.from({ length: 40 }, (_, index) => ({ id: `n${index}`, namespace: "", width: 160 }));
    const edges = nodes.flatMap((source) => nodes.map((target) => ({ id: `${source.id}>${target.id}`, source: source.id, target: target.id })));
    const asked = layoutRequest({ nodes, edges, direction: "RIGHT" }).edges ?? [];
    expect(asked.length).toBeLessThan(2 * nodes.length);
    expect(new Set(asked.flatMap((edge) => [...edge.sources, ...edge.targets])).size).toBe(nodes.length);
    const answer = { id: "root", width: 9, height: 9, children: nodes.map(({ id }, index) => ({ id, x: index * 200, y: 0, width: 160, height: 58 })), edges: [] };
    expect([...readLayout("k", answer, edges).routes.keys()]).toEqual(edges.map((edge) => edge.id));
    expect(layoutRequest({ nodes, edges: edges.slice(0, 150), direction: "RIGHT" }).edges).toHaveLength(150);
  });
  it("changes its key with the topology only", () => {
    expect(topologyKey(topology)).toBe(topologyKey(structuredClone(topology)));
    expect(topologyKey(topology)).not.toBe(topologyKey({ ...topology, edges: [] }));
  });
  it("rounds corners without leaving the route", () => {
    expect(routePath([{ x: 0, y: 0 }, { x: 10, y: 0 }, { x: 10, y: 40 }])).toBe("M0 0L5 0Q10 0 10 5L10 40");
  });
});

describe("yaml", () => {
  it("writes what Kubernetes objects hold", () => {
    const text = writeYaml({ hosts: ["*"], http: [{ route: [{ weight: 50, name: "yes" }], empty: {} }], none: null });
    expect(text).toBe('hosts:\n- "*"\nhttp:\n- route:\n  - weight: 50\n    name: "yes"\n  empty: {}\nnone: null');
  });
});
