/** A list's state, which lives in the page's address: time, what is searched for, filters, order. */
import type { HealthStatus } from "../api/client";
import type { Summary } from "../api/pages";

export interface ListAddress {
  at: number | null;
  durationSeconds: number;
  compareSeconds: null;
  search: string;
  namespace: string;
  health: string;
  findings: boolean;
  /** The column's key, with a dash before it for the greatest first; empty for the page's own order. */
  sort: string;
  view: "cards" | "table";
}

export const LIST_SECONDS = 60;

export function readList(parameters: URLSearchParams): ListAddress {
  const [at, duration] = [Number(parameters.get("at")), Number(parameters.get("duration"))];
  return {
    at: at > 0 ? at : null,
    durationSeconds: Number.isInteger(duration) && duration > 0 ? duration : LIST_SECONDS,
    compareSeconds: null,
    search: parameters.get("q") ?? "",
    namespace: parameters.get("namespace") ?? "",
    health: parameters.get("health") ?? "",
    findings: parameters.get("findings") === "true",
    sort: parameters.get("sort") ?? "",
    view: parameters.get("view") === "table" ? "table" : "cards",
  };
}

/** Defaults are left out, which keeps addresses short. */
export function writeList(address: ListAddress): URLSearchParams {
  const parameters = new URLSearchParams();
  if (address.at !== null) parameters.set("at", String(address.at));
  if (address.durationSeconds !== LIST_SECONDS) parameters.set("duration", String(address.durationSeconds));
  if (address.search !== "") parameters.set("q", address.search);
  if (address.namespace !== "") parameters.set("namespace", address.namespace);
  if (address.health !== "") parameters.set("health", address.health);
  if (address.findings) parameters.set("findings", "true");
  if (address.sort !== "") parameters.set("sort", address.sort);
  if (address.view !== "cards") parameters.set("view", address.view);
  return parameters;
}

const SEVERITY: Record<HealthStatus, number> = { failure: 4, degraded: 3, notReady: 2, healthy: 1, idle: 0 };

export const severity = (item: Summary): number => SEVERITY[item.health.status];

/** Every word must be part of the name, the namespace, the app or the version. */
export function filterList(items: readonly Summary[], { search, namespace, health, findings }: ListAddress): Summary[] {
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return items.filter((item) => {
    const text = `${item.name} ${item.namespace} ${item.app ?? ""} ${item.version ?? ""}`.toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      (namespace === "" || item.namespace === namespace) &&
      (health === "" || item.health.status === health) &&
      (!findings || item.findings.errors + item.findings.warnings > 0)
    );
  });
}

/** By a column, then by name; what has no value comes last in either direction. */
export function sortBy<Item>(items: readonly Item[], value: (item: Item) => number | string | null | undefined, descending: boolean): Item[] {
  return [...items].sort((one, other) => {
    const [left, right] = [value(one) ?? null, value(other) ?? null];
    if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
    const order = typeof left === "number" && typeof right === "number" ? left - right : String(left).localeCompare(String(right), undefined, { numeric: true });
    return descending ? -order : order;
  });
}
