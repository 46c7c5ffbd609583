import { expect, it } from "vitest";
import { byObject, stateOf } from "./distribution";

const object = (kind: string, proxies: number, acknowledged: number) => ({ kind, namespace: "default", name: "reviews", generation: 1, proxies, acknowledged, waiting: [] });
const all = byObject({ objects: [object("VirtualService", 3, 3), object("DestinationRule", 3, 2), object("Gateway", 0, 0)], silent: [] });
const state = (kind: string) => stateOf(all, { kind, namespace: "default", name: "reviews" }).state;

it("tells objects apart by kind, namespace and name", () => {
  expect(state("VirtualService")).toBe("whole");
  expect(state("DestinationRule")).toBe("partly");
  expect(stateOf(all, { kind: "VirtualService", namespace: "other", name: "reviews" }).state).toBe("none");
});

it("knows objects that no proxy needs", () => {
  expect(state("Gateway")).toBe("none");
  expect(state("ServiceEntry")).toBe("none");
});
