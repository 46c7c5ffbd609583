/** The console's API. The types come from its OpenAPI document (`npm run generate`). */
import type { components } from "./schema";

type Schemas = components["schemas"];
/** With a comparison where one was asked for. */
export type TrafficGraph = Schemas["TrafficGraph"] & Partial<Schemas["ComparedGraph"]>;
export type Change = Schemas["Change"];
export type GraphNode = Schemas["Node"];
export type GraphEdge = Schemas["Edge"];
export type GraphType = Schemas["GraphType"];
export type Traffic = Schemas["Traffic"];
export type Health = Schemas["Health"];
export type HealthStatus = Schemas["HealthStatus"];
export type Reason = Schemas["Reason"];
export type Plot = Schemas["Plot"];
export type Namespaces = Schemas["Namespaces"];
export type Workloads = Schemas["Workloads"];
export type Workload = Schemas["RegistryWorkload"];
export type Services = Schemas["Services"];
export type Service = Schemas["Service"];
export type WorkloadDetails = Schemas["WorkloadDetails"];
export type Pod = Schemas["Pod"];
export type ProxyState = Schemas["ProxyState"];
export type ConfigObjects = Schemas["ConfigObjects"];
export type ConfigObject = Schemas["ConfigObject"];

export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly status: number,
  ) {
    super(message);
  }
}

type Parameters = Record<string, string | number | boolean | undefined>;

async function get<Answer>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<Answer> {
  const response = await ask(path, parameters, "application/json", signal);
  return (await response.json()) as Answer;
}

/** An answer of 2xx; everything else is an ApiError. */
async function ask(path: string, parameters: Parameters, accepted: string, signal?: AbortSignal): Promise<Response> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "" && value !== false) query.set(name, String(value));
  }
  let response: Response;
  try {
    response = await fetch(`${path}?${query.toString()}`, { signal: signal ?? null, headers: { Accept: accepted } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("consoleUnreachable", "", "", 0);
  }
  if (response.status === 401) {
    window.location.assign("/login");
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const failure = (body as Schemas["Failure"] | null)?.error;
  throw new ApiError(failure?.code ?? "http", failure?.message ?? response.statusText, failure?.hint ?? "", response.status);
}

/** A graph of more nodes is answered by app, or by namespace: nobody reads so many cards. */
export const MOST_NODES = 1200;

export interface GraphQuery {
  namespaces: readonly string[];
  durationSeconds: number;
  graphType: GraphType;
  at: number | null;
  compareSeconds: number | null;
  idle: boolean;
  services: boolean;
}

export function fetchGraph(query: GraphQuery, signal?: AbortSignal): Promise<TrafficGraph> {
  const compared = query.compareSeconds !== null;
  return get(compared ? "/api/graph/compare" : "/api/graph", {
    baseline: compared ? `${query.compareSeconds}s` : undefined,
    namespaces: query.namespaces.join(","),
    duration: `${query.durationSeconds}s`,
    graphType: query.graphType,
    at: query.at ?? undefined,
    idle: query.idle,
    services: query.services,
    most: compared ? undefined : MOST_NODES,
  }, signal);
}

/** `unreached`: of a service, only what no workload behind it answered. */
export type PlotSubject = ({ kind: "node"; id: string; direction: "inbound" | "outbound" } | { kind: "edge"; id: string }) & { unreached?: boolean };

export function fetchPlot(subject: PlotSubject, from: number, to: number, step: number, signal?: AbortSignal): Promise<Plot> {
  const direction = subject.kind === "node" ? subject.direction : undefined;
  return get("/api/series", { [subject.kind]: subject.id, direction, unreached: subject.unreached, from, to, step: `${step}s` }, signal);
}

export const fetchNamespaces = (signal?: AbortSignal): Promise<Namespaces> => get("/api/namespaces", {}, signal);
export const fetchWorkloads = (signal?: AbortSignal): Promise<Workloads> => get("/api/workloads", {}, signal);
export const fetchServices = (signal?: AbortSignal): Promise<Services> => get("/api/services", {}, signal);
export const fetchConfig = (signal?: AbortSignal): Promise<ConfigObjects> => get("/api/config", {}, signal);

export const fetchWorkload = (namespace: string, name: string, signal?: AbortSignal): Promise<WorkloadDetails> =>
  get(`/api/workloads/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`, {}, signal);

export async function fetchLogs(place: { namespace: string; pod: string; container: string }, tail: number, signal?: AbortSignal): Promise<string> {
  return (await ask("/api/logs", { ...place, tail }, "text/plain", signal)).text();
}
