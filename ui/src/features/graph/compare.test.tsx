// @vitest-environment jsdom
/** Comparisons: what differs, the changes beside it, and changes as marks on plots. */
import { screen, within } from "@testing-library/react";
import { expect, it } from "vitest";
import type { Change, ConfigChange, GraphEdge, GraphNode, TrafficGraph } from "../../api/client";
import { markAddress, placeMarks } from "../../domain/marks";
import { ChangeMarks } from "../../shared/ChangeMarks";
import { show } from "../../testing";
import { ComparisonSection } from "./ChangesBeside";
import { ComparisonSummary } from "./ComparisonSummary";
import { GraphTable } from "./GraphTable";
import { NodeCard } from "./NodeCard";

const made = (id: string, time: number, name: string): ConfigChange => ({
  id,
  time,
  author: "system:serviceaccount:shop:deployer",
  operation: "update",
  apiVersion: "networking.istio.io/v1",
  kind: "VirtualService",
  namespace: "shop",
  name,
  omitted: false,
});
const figures = { requestsPerSecond: 2, errorRatio: 0, p95Milliseconds: 10, bytesPerSecond: 900 };
const failing: Change = { kinds: ["failing"], before: figures, after: { ...figures, errorRatio: 0.5 } };
const edge = (id: string) => ({ id, source: "a", target: "b", protocol: "http", health: { status: "healthy", reasons: [] }, hosts: {}, responseCodes: {}, requestsPerSecond: 2, bytesReceivedPerSecond: 1, bytesSentPerSecond: 2 }) as unknown as GraphEdge;
const graph = {
  timestamp: 600,
  graphType: "workload",
  nodes: [],
  edges: [edge("a>b|http"), edge("a>c|http")],
  comparison: {
    baseline: 300,
    nodes: {},
    edges: { "a>b|http": failing, "a>c|http": failing },
    beside: { "a>b|http": [{ change: "2-1", reason: "host" }] },
    changes: [made("2-1", 500, "details"), made("1-1", 400, "other")],
  },
} as unknown as TrafficGraph & { comparison: NonNullable<TrafficGraph["comparison"]> };

it("says of a card what is written on it, in the same order", () => {
  const quiet = { requestCount: 0, requestsPerSecond: 0, bytesSentPerSecond: 0, bytesReceivedPerSecond: 0 };
  const node = {
    id: "service:shop/details",
    type: "service",
    namespace: "shop",
    service: "details",
    badges: [],
    health: { status: "healthy", reasons: [] },
    traffic: { inbound: { ...quiet, requestCount: 4, requestsPerSecond: 0.5 }, outbound: quiet },
  } as unknown as GraphNode;
  const ignore = () => undefined;
  const box = { id: node.id, x: 0, y: 0, width: 160, height: 58 };
  show(
    <svg>
      <NodeCard node={node} box={box} change={{ kinds: ["new"], before: null, after: figures }} simple={false} selected={false} faded={false} pinned onMove={ignore} onPin={ignore} onSelect={ignore} />
    </svg>,
  );
  const card = screen.getByRole("button");
  const words = (text: string | null) => (text ?? "").replace(/[·,]/g, " ").replace(/\s+/g, " ").trim();
  expect(words(card.textContent)).not.toBe("");
  expect(words(card.getAttribute("aria-label"))).toContain(words(card.textContent));
});

it("puts changes that would lie on each other into one mark, within the plot only", () => {
  const changes = [made("3", 160, "c"), made("1", 100, "a"), made("2", 101, "b"), made("0", 99, "z"), made("4", 201, "y")];
  const marks = placeMarks(changes, 100, 200);
  expect(marks.map((mark) => [mark.share, mark.changes.map((one) => one.id)])).toEqual([
    [0, ["1", "2"]],
    [0.6, ["3"]],
  ]);
  expect(markAddress([made("3", 160.5, "c")])).toBe("/changes?change=3");
  expect(markAddress([made("1", 100.5, "a"), made("2", 101.5, "b")])).toBe("/changes?from=100&to=102&change=1");
});

it("marks a change where the keyboard reaches it, with name, author, time and the way to the difference", async () => {
  const { user, address } = show(<ChangeMarks changes={[made("7", 500, "details")]} first={0} last={1000} />);
  await user.tab();
  const mark = screen.getByRole("link", { name: /\d\d:\d\d:\d\d VirtualService shop\/details changed by shop:deployer/ });
  expect(document.activeElement).toBe(mark);
  await user.keyboard("{Enter}");
  expect(address()).toBe("/changes?change=7");
});

it("sums a comparison up: what differs, and which changes touch it", () => {
  show(<ComparisonSummary graph={graph} />);
  expect(screen.getByRole("status").textContent).toContain("Failing 2");
  const [all, first, second] = screen.getAllByRole("listitem").map((item) => item.textContent);
  expect([all, first, second]).toEqual(["Config changes between: 2", "VirtualService details changed · touches 1 of these edges", "VirtualService other changed · touches none of these edges"]);
});

it("tells of an edge what it was, what it is, and what touches it", () => {
  show(<ComparisonSection comparison={graph.comparison} change={failing} edge="a>b|http" />);
  expect(screen.getByRole("row", { name: "Errors 0% 50%" })).toBeTruthy();
  const item = screen.getByRole("listitem");
  expect(item.textContent).toContain("shop:deployer · names it as a host");
  expect(within(item).getByRole("link").getAttribute("href")).toBe("/changes?change=2-1");
});

it("says so when no change touches an edge", () => {
  show(<ComparisonSection comparison={graph.comparison} change={failing} edge="a>c|http" />, { language: "ko" });
  expect(screen.getByText("두 시각 사이의 변경 2건 중 이 연결에 닿는 것이 없습니다.")).toBeTruthy();
});

it("has the changes beside each edge in the table", () => {
  show(<GraphTable graph={graph} finder={null} selection={null} onSelect={() => undefined} />);
  const [, touched, untouched] = screen.getAllByRole("row");
  expect(within(touched as HTMLElement).getByRole("link", { name: "VirtualService details" })).toBeTruthy();
  expect(within(untouched as HTMLElement).queryByRole("link")).toBeNull();
});
