/** The page's state lives in its address, so that a link shows the same thing to somebody else. */
import type { GraphQuery, GraphType } from "../api/client";
import { readPlaces, writePlaces, type Pins } from "./pins";
import type { Focus } from "./shown";
import { LEVELS } from "./zoom";

export type Selection = { kind: "node" | "edge"; id: string } | null;
export type EdgeLabel = "rate" | "errors" | "average" | "p50" | "p95" | "p99" | "share" | "bytes" | "requestBytes" | "responseBytes" | "none";
export type View = "graph" | "table";

export interface GraphAddress extends GraphQuery {
  /** How much earlier the graph is that this one is compared with. */
  compareSeconds: number | null;
  /** The moment it is compared with instead, in Unix seconds. */
  compareAt: number | null;
  label: EdgeLabel;
  view: View;
  selection: Selection;
  /** Expressions (`find.ts`): what stands out, and what is not drawn. */
  find: string;
  hide: string;
  /** Only what is near this node. */
  focus: Focus | null;
  /** Where cards were put; of this arrangement alone. */
  pins: Pins;
}

export const DURATIONS = [30, 60, 300, 600, 1800, 3600, 21_600, 86_400] as const;
export const COMPARISONS = [60, 300, 900, 3600, 86_400] as const;
export const GRAPH_TYPES: readonly GraphType[] = [...LEVELS, "versionedApp", "service"];
export const EDGE_LABELS: readonly EdgeLabel[] = ["rate", "errors", "average", "p50", "p95", "p99", "share", "bytes", "requestBytes", "responseBytes", "none"];
export const MOST_HOPS = 3;

export function readAddress(parameters: URLSearchParams): GraphAddress {
  const node = parameters.get("node");
  const edge = parameters.get("edge");
  const at = Number(parameters.get("at"));
  const duration = Number(parameters.get("duration"));
  const compare = Number(parameters.get("compare"));
  const compareAt = Number(parameters.get("with"));
  const focus = parameters.get("focus");
  const hops = Number(parameters.get("hops"));
  return {
    namespaces: (parameters.get("namespaces") ?? "").split(",").filter((name) => name !== ""),
    durationSeconds: Number.isInteger(duration) && duration > 0 ? duration : 60,
    graphType: oneOf(GRAPH_TYPES, parameters.get("type"), "workload"),
    at: at > 0 ? at : null,
    compareSeconds: Number.isInteger(compare) && compare > 0 ? compare : null,
    compareAt: compareAt > 0 ? compareAt : null,
    idle: parameters.get("idle") === "true",
    services: parameters.get("services") === "true",
    label: oneOf(EDGE_LABELS, parameters.get("label"), "rate"),
    view: oneOf(["graph", "table"], parameters.get("view"), "graph"),
    selection: node ? { kind: "node", id: node } : edge ? { kind: "edge", id: edge } : null,
    find: parameters.get("find") ?? "",
    hide: parameters.get("hide") ?? "",
    focus: focus ? { id: focus, hops: Number.isInteger(hops) && hops > 0 ? Math.min(hops, MOST_HOPS) : 1 } : null,
    pins: readPlaces(parameters.get("pins") ?? ""),
  };
}

/** Defaults are left out, which keeps addresses short. */
export function writeAddress(address: GraphAddress): URLSearchParams {
  const parameters = new URLSearchParams();
  if (address.namespaces.length > 0) parameters.set("namespaces", address.namespaces.join(","));
  if (address.durationSeconds !== 60) parameters.set("duration", String(address.durationSeconds));
  if (address.graphType !== "workload") parameters.set("type", address.graphType);
  if (address.at !== null) parameters.set("at", String(address.at));
  if (address.compareSeconds !== null) parameters.set("compare", String(address.compareSeconds));
  if (address.compareAt !== null) parameters.set("with", String(address.compareAt));
  if (address.idle) parameters.set("idle", "true");
  if (address.services) parameters.set("services", "true");
  if (address.label !== "rate") parameters.set("label", address.label);
  if (address.view !== "graph") parameters.set("view", address.view);
  if (address.find !== "") parameters.set("find", address.find);
  if (address.hide !== "") parameters.set("hide", address.hide);
  if (address.focus !== null) parameters.set("focus", address.focus.id);
  if (address.focus !== null && address.focus.hops > 1) parameters.set("hops", String(address.focus.hops));
  const pins = writePlaces(address.pins);
  if (pins !== "") parameters.set("pins", pins);
  if (address.selection) parameters.set(address.selection.kind, address.selection.id);
  return parameters;
}

function oneOf<Value extends string>(known: readonly Value[], text: string | null, fallback: Value): Value {
  return known.find((value) => value === text) ?? fallback;
}
