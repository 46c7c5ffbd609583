// @vitest-environment jsdom
import { afterEach, describe, expect, it } from "vitest";
import type { Layout } from "./layout";
import { keepPins, readPins, readPlaces, scopeOf, withPins, writePlaces } from "./pins";

const box = (id: string, x: number, y: number) => ({ id, x, y, width: 100, height: 50 });
const nodes = [{ id: "a", namespace: "shop", width: 100 }, { id: "b", namespace: "shop", width: 100 }, { id: "c", namespace: "", width: 100 }];
const edges = [{ id: "a>b", source: "a", target: "b" }, { id: "b>c", source: "b", target: "c" }];
const points = [{ x: 0, y: 0 }];
const layout: Layout = {
  key: "k",
  width: 500,
  height: 200,
  nodes: new Map([box("a", 30, 60), box("b", 200, 60), box("c", 380, 60)].map((one) => [one.id, one])),
  namespaces: [{ id: "shop", x: 8, y: 16, width: 314, height: 116 }],
  routes: new Map(edges.map(({ id }) => [id, { id, points, label: { x: 0, y: 0 } }])),
};

describe("pins", () => {
  afterEach(() => localStorage.clear());

  it("put cards where they were left, with their edges and namespaces", () => {
    const moved = withPins(layout, { a: [30, 400], gone: [1, 1] }, { nodes, edges });
    expect(moved.nodes.get("a")).toEqual(box("a", 30, 400));
    expect(moved.nodes.get("b")).toBe(layout.nodes.get("b"));
    expect(moved.routes.get("a>b")?.points[0]).toEqual({ x: 130, y: 425 });
    expect(moved.routes.get("b>c")?.points).toBe(points);
    expect(moved.namespaces[0]).toMatchObject({ x: 8, y: 16, height: 400 + 50 + 22 - 16 });
    expect(moved.height).toBe(472);
  });

  it("leave a layout that has none of them as it is", () => {
    expect(withPins(layout, { gone: [1, 1] }, { nodes, edges })).toBe(layout);
  });

  it("are kept for each graph, for the last twenty of them", () => {
    const scope = scopeOf("app", ["b", "a"], "RIGHT");
    expect(scope).toBe(scopeOf("app", ["a", "b"], "RIGHT"));
    keepPins(scope, { a: [1, 2] });
    expect(readPins(scope)).toEqual({ a: [1, 2] });
    expect(readPins(scopeOf("app", ["a"], "RIGHT"))).toEqual({});
    for (let index = 0; index < 20; index += 1) keepPins(`other ${index}`, { a: [3, 4] });
    expect(readPins(scope)).toEqual({});
    keepPins("other 19", {});
    expect(readPins("other 19")).toEqual({});
  });

  it("can be written into an address, whole and no more than it holds", () => {
    const pins = { "workload:shop/cart@x": [120.4, -40], "pod:a/b/c": [0, 7] } as const;
    expect(writePlaces(pins)).toBe("workload:shop/cart@x@120,-40;pod:a/b/c@0,7");
    expect(readPlaces(writePlaces(pins))).toEqual({ "workload:shop/cart@x": [120, -40], "pod:a/b/c": [0, 7] });
    for (const text of ["", ";", "@1,2", "a@1", "a@1,", "a@x,2", "a@1,2,3"]) expect(readPlaces(text)).toEqual({});
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, index): [string, [number, number]] => [`n${String(index)}`, [index, 0]]));
    expect(Object.keys(readPlaces(writePlaces(many)))).toHaveLength(50);
  });

  it("are none where what was kept can't be read", () => {
    for (const text of ["{", "[]", "null", '{"x":5}', '{"x":{"a":[1],"b":"no","c":[1,null]}}']) {
      localStorage.setItem("kaiki.pins", text);
      expect(readPins("x")).toEqual({});
    }
  });
});
