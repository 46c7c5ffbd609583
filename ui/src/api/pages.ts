/** What the lists, the pages of one subject, the traces and the page of the mesh ask for. */
import { ask, get } from "./client";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Summary = Schemas["Summary"];
export type Summaries = Schemas["Summaries"];
export type Rates = Schemas["Rates"];
export type SubjectDetails = Schemas["SubjectDetails"];
export type SubjectPod = Schemas["SubjectPod"];
export type TouchingObject = Schemas["TouchingObject"];
export type Proxy = Schemas["Proxy"];
export type ProxyConfiguration = Schemas["ProxyConfiguration"];
export type ListenerRow = Schemas["ListenerRow"];
export type ChainRow = Schemas["ChainRow"];
export type RouteRow = Schemas["RouteRow"];
export type ClusterRow = Schemas["ClusterRow"];
export type EndpointRow = Schemas["EndpointRow"];
export type SecretRow = Schemas["SecretRow"];
export type Origin = Schemas["Origin"];
export type Condition = Schemas["Condition"];
export type Target = Schemas["Target"];
export type Tls = Schemas["Tls"];
export type Heat = Schemas["Heat"];
export type Mesh = Schemas["Mesh"];
export type SubjectKind = SubjectDetails["kind"];
export type ListKind = SubjectKind | "namespace";

export interface Moment {
  durationSeconds: number;
  at: number | null;
}

const time = ({ durationSeconds, at }: Moment) => ({ duration: `${durationSeconds}s`, at: at ?? undefined });
const path = (...parts: string[]) => parts.map(encodeURIComponent).join("/");

export const fetchSummaries = (by: ListKind, moment: Moment, signal?: AbortSignal): Promise<Summaries> => get("/api/summaries", { by, ...time(moment) }, signal);

export const fetchDetails = (kind: SubjectKind, namespace: string, name: string, moment: Moment, signal?: AbortSignal): Promise<SubjectDetails> =>
  get(`/api/details/${path(kind, namespace, name)}`, time(moment), signal);

export const fetchHeat = (node: string, direction: "inbound" | "outbound", from: number, to: number, step: number, signal?: AbortSignal): Promise<Heat> =>
  get("/api/heat", { node, direction, from, to, step: `${step}s` }, signal);

/** Empty versions are chosen by the console: the last one, and the first of the others. */
export const fetchVersions = (
  namespace: string,
  app: string,
  { baseline, version }: { baseline: string; version: string },
  moment: Moment,
  signal?: AbortSignal,
): Promise<Schemas["ComparedVersions"]> => get(`/api/versions/${path(namespace, app)}`, { baseline, version, ...time(moment) }, signal);

export const PARTS = ["listeners", "routes", "clusters", "endpoints", "secrets"] as const;
export type Part = (typeof PARTS)[number];
export const PROXY_ROWS = 100;

export interface PartQuery {
  part: Part;
  q: string;
  sort: string;
  offset: number;
}

export const fetchProxy = (namespace: string, pod: string, query: PartQuery, signal?: AbortSignal): Promise<ProxyConfiguration> =>
  get(`/api/proxies/${path(namespace, pod)}/config`, { ...query, limit: PROXY_ROWS }, signal);
export const proxyDump = (namespace: string, pod: string): string => `/api/proxies/${path(namespace, pod)}/dump`;

export const fetchMesh = (signal?: AbortSignal): Promise<Mesh> => get("/api/mesh", {}, signal);

export interface LogPlace {
  namespace: string;
  pod: string;
  container: string;
}

/** The end of a log, and with `follow` what comes after it, piece by piece, until the container ends. */
export async function readLog(place: LogPlace, options: { follow: boolean; previous: boolean; tail: number }, take: (text: string) => void, signal: AbortSignal): Promise<void> {
  const answer = await ask("/api/logs", { ...place, ...options }, "text/plain", signal);
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    take(value);
  }
}

/** Jaeger's JSON, as far as it is read here. */
export interface JaegerTrace {
  traceID: string;
  spans: JaegerSpan[];
  processes: Record<string, { serviceName: string }>;
}

export interface JaegerSpan {
  spanID: string;
  operationName: string;
  references: { refType: string; spanID: string }[];
  startTime: number;
  duration: number;
  tags: { key: string; value: unknown }[];
  logs: { timestamp: number; fields: { key: string; value: unknown }[] }[];
  processID: string;
}

interface Jaeger<Data> {
  data: Data | null;
}

export async function fetchTraceServices(signal?: AbortSignal): Promise<string[]> {
  return (await get<Jaeger<string[]>>("/api/tracing/services", {}, signal)).data ?? [];
}

export async function fetchTraces(service: string, range: { from: number; to: number }, limit: number, signal?: AbortSignal): Promise<JaegerTrace[]> {
  const parameters = { service, start: Math.floor(range.from * 1e6), end: Math.ceil(range.to * 1e6), limit };
  return (await get<Jaeger<JaegerTrace[]>>("/api/tracing/traces", parameters, signal)).data ?? [];
}

export async function fetchTrace(id: string, signal?: AbortSignal): Promise<JaegerTrace | null> {
  return (await get<Jaeger<JaegerTrace[]>>(`/api/tracing/traces/${encodeURIComponent(id)}`, {}, signal)).data?.[0] ?? null;
}
