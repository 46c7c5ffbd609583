/** The console's API. The types come from its OpenAPI document (`npm run generate`). */
import { sourceOf } from "../domain/explained";
import type { components } from "./schema";
import { noteSession } from "./session";

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
export type HealthDetails = Schemas["HealthDetails"];
export type HealthCheck = Schemas["HealthCheck"];
export type Plot = Schemas["Plot"];
export type Namespaces = Schemas["Namespaces"];
export type Workloads = Schemas["Workloads"];
export type Workload = Schemas["RegistryWorkload"];
export type Services = Schemas["Services"];
export type Service = Schemas["Service"];
export type Pod = Schemas["Pod"];
export type ConfigObjects = Schemas["ConfigObjects"];
export type Distribution = Schemas["Distribution"];
export type DistributedObject = Schemas["DistributedObject"];
export type ConfigObject = Schemas["ConfigObject"];
export type Me = Schemas["Me"];
export type Problem = Schemas["Problem"];
export type ObjectDocument = Schemas["ObjectDocument"];
export type Check = Schemas["Check"];
export type Effect = Schemas["Effect"];
export type Comparison = Schemas["Comparison"];
export type Touch = Schemas["Touch"];
export type ComparedVersions = Schemas["ComparedVersions"];
export type ComparedCall = Schemas["ComparedCall"];
export type ConfigChange = Schemas["ConfigChange"];
export type LoggedRequest = Schemas["LoggedRequest"];
export type LoggedRequests = Schemas["LoggedRequests"];
export type Cardinality = Schemas["Cardinality"];
export type Explanation = Schemas["Explanation"];
export type ExplainedStep = Schemas["ExplainedStep"];
export type LoggedQuestion = Schemas["LoggedQuestion"];
export type LoggedExplanation = Schemas["LoggedExplanation"];
export type Remark = Schemas["Remark"];
export type ChangeDetails = Schemas["ConfigChangeDetails"];

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

/** Longer than the console itself waits for any part of the mesh. */
const LONGEST_MILLISECONDS = 25_000;

export type Parameters = Record<string, string | number | boolean | undefined>;

export async function get<Answer>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<Answer> {
  const response = await ask(path, parameters, "application/json", signal);
  return (await response.json()) as Answer;
}

/** An answer of 2xx; everything else is an ApiError. */
export async function ask(path: string, parameters: Parameters, accepted: string, signal?: AbortSignal, sent?: unknown): Promise<Response> {
  const query = written(parameters);
  let response: Response;
  // A text goes on for as long as somebody reads it; everything else is answered soon, or by nobody.
  const soon = accepted === "application/json" && sent === undefined ? AbortSignal.timeout(LONGEST_MILLISECONDS) : undefined;
  const signals = [signal, soon].filter((one) => one !== undefined);
  try {
    response = await fetch(`${path}?${query.toString()}`, {
      signal: AbortSignal.any(signals),
      ...(sent === undefined
        ? { headers: { Accept: accepted } }
        : { method: "POST", body: JSON.stringify(sent), headers: { Accept: accepted, "Content-Type": "application/json" } }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("consoleUnreachable", "", "", 0);
  }
  noteSession(response.status === 401);
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const failure = (body as Schemas["Failure"] | null)?.error;
  throw new ApiError(failure?.code ?? "http", failure?.message ?? response.statusText, failure?.hint ?? "", response.status);
}

function written(parameters: Parameters): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "" && value !== false) query.set(name, String(value));
  }
  return query;
}

/** A graph of more nodes is answered by app, or by namespace: nobody reads so many cards. */
export const MOST_NODES = 1200;

export interface GraphQuery {
  namespaces: readonly string[];
  durationSeconds: number;
  graphType: GraphType;
  at: number | null;
  compareSeconds: number | null;
  /** A moment to compare with instead; one that is not before `at` compares nothing. */
  compareAt: number | null;
  idle: boolean;
  services: boolean;
}

export function fetchGraph(query: GraphQuery, signal?: AbortSignal): Promise<TrafficGraph> {
  const fixed = query.compareAt !== null && query.compareAt < (query.at ?? Date.now() / 1000) ? query.compareAt : null;
  const compared = fixed !== null || query.compareSeconds !== null;
  if (!compared) return get("/api/graph", asked(query), signal);
  return get("/api/graph/compare", { ...asked(query), most: undefined, baseline: fixed ?? `${query.compareSeconds}s` }, signal);
}

const asked = (query: GraphQuery): Parameters => ({
  namespaces: query.namespaces.join(","),
  duration: `${query.durationSeconds}s`,
  graphType: query.graphType,
  at: query.at ?? undefined,
  idle: query.idle,
  services: query.services,
  most: MOST_NODES,
});

/** What a graph is asked for with, where it isn't compared. */
export const graphParameters = (query: GraphQuery): URLSearchParams => written(asked(query));

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
export const fetchDistribution = (signal?: AbortSignal): Promise<Distribution> => get("/api/distribution", {}, signal);

export async function post<Answer>(path: string, body: unknown, parameters: Parameters = {}, signal?: AbortSignal): Promise<Answer> {
  return (await (await ask(path, parameters, "application/json", signal, body)).json()) as Answer;
}

type Place = Pick<ConfigObject, "apiVersion" | "kind" | "namespace" | "name">;

export const fetchMe = (signal?: AbortSignal): Promise<Me> => get("/api/me", {}, signal);
export const giveIdentity = (token: string): Promise<Me> => post("/api/identity", { token });
export const fetchObject = ({ apiVersion, kind, namespace, name }: Place, signal?: AbortSignal): Promise<ObjectDocument> =>
  get("/api/config/object", { apiVersion, kind, namespace, name }, signal);
export const fetchSchema = ({ apiVersion, kind }: Pick<Place, "apiVersion" | "kind">, signal?: AbortSignal): Promise<Schemas["ObjectSchema"]> =>
  get("/api/config/schema", { apiVersion, kind }, signal);
export const checkObject = (
  text: { yaml: string; resourceVersion: string; deleted?: boolean },
  effect: boolean,
  signal?: AbortSignal,
): Promise<Check> => post("/api/config/check", text, { effect }, signal);
/** Without a version the object is created. */
export const saveObject = (yaml: string, resourceVersion: string): Promise<ObjectDocument> => post("/api/config/save", { yaml, resourceVersion });
export const deleteObject = ({ apiVersion, kind, namespace, name }: Place, resourceVersion: string): Promise<Schemas["Deleted"]> =>
  post("/api/config/delete", { apiVersion, kind, namespace, name, resourceVersion });
export const fetchChanges = (filters: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<Schemas["ConfigChanges"]> =>
  get("/api/changes", filters, signal);
export const fetchChange = (id: string, signal?: AbortSignal): Promise<ChangeDetails> => get(`/api/changes/${id}`, {}, signal);

interface HealthQuery {
  at: number | null;
  durationSeconds: number;
  graphType?: string;
  services?: boolean;
  namespaces?: readonly string[];
}

/** Why a node or an edge has its health, in the graph that is drawn so. */
export const fetchHealth = (kind: "node" | "edge", id: string, { at, durationSeconds, namespaces, graphType, services }: HealthQuery, signal?: AbortSignal): Promise<HealthDetails> =>
  get("/api/health", { [kind]: id, duration: `${durationSeconds}s`, at: at ?? undefined, graphType, services, namespaces: namespaces?.join(",") }, signal);

export const fetchRequests = (filters: Record<string, string | number | undefined>, signal?: AbortSignal): Promise<LoggedRequests> =>
  get("/api/requests", filters, signal);
export const fetchCardinality = (signal?: AbortSignal): Promise<Cardinality> => get("/api/cardinality", {}, signal);

/** `source` is namespace/workload; `header` has one header a line. */
export const fetchExplanation = ({ source, ...rest }: { source: string; url: string; method: string; header: string }, signal?: AbortSignal): Promise<Explanation> =>
  get("/api/explain", { ...sourceOf(source), ...rest }, signal);
/** A line of an access log, or a span. */
export const fetchLoggedExplanation = (question: LoggedQuestion, signal?: AbortSignal): Promise<LoggedExplanation> => post("/api/explain/logged", question, {}, signal);
