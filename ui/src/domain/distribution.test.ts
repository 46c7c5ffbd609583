import { expect, it } from "vitest";
import { byObject, stateOf } from "./distribution";

const NETWORKING = "networking.istio.io";
const object = (kind: string, proxies: number, acknowledged: number, more = {}) => ({
  kind,
  group: NETWORKING,
  namespace: "default",
  name: "reviews",
  generation: 1,
  proxies,
  acknowledged,
  waiting: [],
  refused: "",
  ...more,
});
const all = byObject({
  objects: [
    object("VirtualService", 3, 3),
    object("DestinationRule", 3, 2),
    object("Gateway", 0, 0),
    object("Gateway", 2, 2, { group: "gateway.networking.k8s.io" }),
    object("EnvoyFilter", 0, 0, { refused: "no such thing" }),
  ],
  silent: [], answering: 1, warnings: [],
});
const state = (kind: string, group = NETWORKING) => stateOf(all, { apiVersion: `${group}/v1`, kind, namespace: "default", name: "reviews" }).state;

it("tells objects apart by group, kind, namespace and name", () => {
  expect(state("VirtualService")).toBe("whole");
  expect(state("DestinationRule")).toBe("partly");
  expect(state("Gateway", "gateway.networking.k8s.io")).toBe("whole");
  expect(stateOf(all, { apiVersion: `${NETWORKING}/v1`, kind: "VirtualService", namespace: "other", name: "reviews" }).state).toBe("none");
});

it("knows objects that no proxy needs", () => {
  expect(state("Gateway")).toBe("none");
  expect(state("ServiceEntry")).toBe("none");
});

it("knows objects that Envoy refuses", () => {
  expect(state("EnvoyFilter")).toBe("refused");
});
