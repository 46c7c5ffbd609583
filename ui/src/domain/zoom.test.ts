import { describe, expect, it } from "vitest";
import type { GraphNode } from "../api/client";
import { compileFind } from "./find";
import { inside, stepFrom } from "./zoom";

const node = (parts: Partial<GraphNode>): GraphNode =>
  ({ id: "", type: "workload", namespace: "shop", workload: "", pod: "", app: "", version: "", service: "", badges: [], health: { status: "healthy", reasons: [] }, ...parts }) as GraphNode;

describe("zooming by meaning", () => {
  it("goes from the cluster to pods and back, and from beside", () => {
    expect(stepFrom("cluster", 1)).toBe("namespace");
    expect(stepFrom("workload", 1)).toBe("pod");
    expect(stepFrom("pod", 1)).toBeNull();
    expect(stepFrom("cluster", -1)).toBeNull();
    expect(stepFrom("versionedApp", 1)).toBe("workload");
    expect(stepFrom("service", -1)).toBe("namespace");
  });
  it("opens a namespace alone, and finds the parts of an app and of a workload", () => {
    expect(inside(node({ type: "cluster", namespace: "" }))).toMatchObject({ graphType: "namespace" });
    expect(inside(node({ type: "namespace" }))).toMatchObject({ graphType: "app", namespaces: ["shop"] });
    const opened = inside(node({ type: "workload", workload: "cart-v1" }));
    expect(opened).toMatchObject({ graphType: "pod", selection: null });
    const finder = compileFind(opened?.find ?? "");
    expect(finder.node(node({ type: "pod", workload: "cart-v1", pod: "cart-v1-a" }))).toBe(true);
    expect(finder.node(node({ type: "pod", workload: "cart-v2", pod: "cart-v2-a" }))).toBe(false);
    expect(inside(node({ type: "app", app: "cart", version: "v2" }))?.find).toBe("namespace = shop and app = cart and version = v2");
    expect(inside(node({ type: "pod", pod: "cart-v1-a" }))).toBeNull();
  });
});
