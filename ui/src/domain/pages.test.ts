import { describe, expect, it } from "vitest";
import type { JaegerSpan, JaegerTrace, Summary } from "../api/pages";
import { heatCells, heatStrength } from "./heat";
import { filterList, readList, sortBy, writeList } from "./list";
import { addText, MOST_LINES, NO_TEXT, splitAround } from "./logLines";
import { involvesVersion, isError, summarizeTrace, traceRows } from "./traces";

const summary = (name: string, status: string, more: Partial<Summary> = {}) =>
  ({ name, namespace: "shop", health: { status, reasons: [] }, findings: { errors: 0, warnings: 0 }, ...more }) as unknown as Summary;

describe("lists", () => {
  it("keeps its state in the address, without defaults", () => {
    const address = { ...readList(new URLSearchParams()), at: 1700000000, search: "web v1", health: "failure", sort: "-rate", view: "table" as const, findings: true };
    expect(readList(writeList(address))).toEqual(address);
    expect(writeList(readList(new URLSearchParams("duration=x&at=-1"))).toString()).toBe("");
  });

  it("filters by every word, by health and by findings", () => {
    const items = [summary("web", "failure", { version: "v1" }), summary("db", "healthy", { findings: { errors: 0, warnings: 2 } })];
    const names = (query: string) => filterList(items, readList(new URLSearchParams(query))).map((item) => item.name);
    expect(names("q=SHOP v1")).toEqual(["web"]);
    expect(names("health=healthy")).toEqual(["db"]);
    expect(names("findings=true")).toEqual(["db"]);
    expect(names("namespace=other")).toEqual([]);
  });

  it("sorts numbers as numbers and keeps what has no value last", () => {
    const items = [{ v: 10 }, { v: null }, { v: 9 }];
    expect(sortBy(items, (item) => item.v, false).map((item) => item.v)).toEqual([9, 10, null]);
    expect(sortBy(items, (item) => item.v, true).map((item) => item.v)).toEqual([10, 9, null]);
    expect(sortBy(["b10", "b9"], (item) => item, false)).toEqual(["b9", "b10"]);
  });
});

describe("latency heat", () => {
  const heat = { times: [0, 10], step: 10, bounds: [5, 10, 25, null], rates: [[0, 0], [3, null], [1, 0], [0, 0]] };
  it("draws the buckets that were hit, the slowest on top", () => {
    const { rows, most, totals } = heatCells(heat);
    expect(rows.map((row) => row.range)).toEqual(["10 ms – 25 ms", "5 ms – 10 ms"]);
    expect([most, totals[0]]).toEqual([3, 4]);
    expect(heatCells({ ...heat, rates: heat.rates.map(() => [0, 0]) }).rows).toEqual([]);
  });
  it("keeps rare cells visible", () => {
    expect(heatStrength(0.01, 100)).toBeGreaterThan(0.1);
    expect([heatStrength(0, 5), heatStrength(null, 5), heatStrength(5, 5)]).toEqual([0, 0, 1]);
  });
});

const span = (id: string, parent: string, startTime: number, duration: number, tags: Record<string, string> = {}): JaegerSpan => ({
  spanID: id,
  operationName: id,
  references: parent === "" ? [] : [{ refType: "CHILD_OF", spanID: parent }],
  startTime,
  duration,
  tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
  logs: [],
  processID: "p",
});
const trace = (spans: JaegerSpan[]): JaegerTrace => ({ traceID: "1", spans, processes: { p: { serviceName: "web" } } });

describe("traces", () => {
  it("puts children below their parents, by time, and spans without a known parent on top", () => {
    const rows = traceRows(trace([span("c", "a", 60, 20), span("a", "", 0, 100), span("b", "a", 10, 40), span("d", "lost", 90, 5)]));
    expect(rows.map((row) => [row.span.spanID, row.depth])).toEqual([["a", 0], ["b", 1], ["c", 1], ["d", 0]]);
    expect(rows[0]?.ownMilliseconds).toBeCloseTo(0.04);
    expect(rows[1]?.offset).toBeCloseTo(0.1);
  });
  it("knows which version of a service took part", () => {
    const found = trace([span("a", "", 0, 1, { "istio.canonical_revision": "v1" })]);
    expect([involvesVersion(found, ["web"], "v1"), involvesVersion(found, ["web"], "v2"), involvesVersion(found, ["db"], "v1")]).toEqual([true, false, false]);
    expect(involvesVersion(trace([span("a", "", 0, 1)]), ["web"], "v2")).toBe(true);
  });
  it("does not loop on spans that are each other's parents", () => {
    expect(traceRows(trace([span("a", "b", 0, 1), span("b", "a", 0, 1)])).length).toBeLessThanOrEqual(2);
    expect(summarizeTrace(trace([]))).toBeNull();
  });
  it("counts errors however they are told", () => {
    const told: Record<string, string>[] = [{ error: "true" }, { "http.status_code": "503" }, { "rpc.grpc.status_code": "14" }];
    expect(told.map((tags) => isError(span("a", "", 0, 1, tags)))).toEqual([true, true, true]);
    expect(isError(span("a", "", 0, 1, { "http.status_code": "404", "grpc.status_code": "0" }))).toBe(false);
    expect(summarizeTrace(trace([span("a", "", 0, 2000), span("b", "a", 0, 1, { error: "true" })]))).toMatchObject({ milliseconds: 2, errors: 1, spans: 2 });
  });
});

describe("logs", () => {
  it("joins pieces of lines and gives up the oldest", () => {
    const text = addText(addText(NO_TEXT, "one\ntw"), "o\nthr");
    expect([text.lines, text.rest]).toEqual([["one", "two"], "thr"]);
    const many = addText(NO_TEXT, "x\n".repeat(MOST_LINES + 5));
    expect([many.lines.length, many.dropped]).toEqual([MOST_LINES, 5]);
  });
  it("finds what is searched for, in any case", () => {
    expect(splitAround("GET /get", "get")).toEqual(["", "GET", " /", "get", ""]);
    expect(splitAround("abc", "")).toEqual(["abc"]);
  });
});
