/** From Jaeger's spans to a list of traces and to the rows of one trace's waterfall. */
import type { JaegerSpan, JaegerTrace } from "../api/pages";

export interface TraceSummary {
  id: string;
  /** Milliseconds since 1970. */
  start: number;
  milliseconds: number;
  service: string;
  operation: string;
  spans: number;
  errors: number;
  services: string[];
}

export interface SpanRow {
  span: JaegerSpan;
  service: string;
  depth: number;
  /** Shares of the whole trace, 0 to 1. */
  offset: number;
  length: number;
  error: boolean;
  milliseconds: number;
  /** How long none of its children was at work: its own part of the time. */
  ownMilliseconds: number;
}

export function summarizeTrace(trace: JaegerTrace): TraceSummary | null {
  const rows = traceRows(trace);
  const [root] = rows;
  if (root === undefined) return null;
  const { start, end } = extent(trace);
  return {
    id: trace.traceID,
    start: start / 1000,
    milliseconds: (end - start) / 1000,
    service: root.service,
    operation: root.span.operationName,
    spans: rows.length,
    errors: rows.filter((row) => row.error).length,
    services: [...new Set(rows.map((row) => row.service))],
  };
}

function extent(trace: JaegerTrace): { start: number; end: number } {
  const start = Math.min(...trace.spans.map((span) => span.startTime));
  return { start, end: Math.max(...trace.spans.map((span) => span.startTime + span.duration)) };
}

/** Parents before their children, both by time. A span whose parent is missing stands at the top. */
export function traceRows(trace: JaegerTrace): SpanRow[] {
  const ids = new Set(trace.spans.map((span) => span.spanID));
  const children = new Map<string, JaegerSpan[]>();
  for (const span of [...trace.spans].sort((one, other) => one.startTime - other.startTime || other.duration - one.duration)) {
    const parent = span.references.find((reference) => reference.refType === "CHILD_OF" && ids.has(reference.spanID) && reference.spanID !== span.spanID)?.spanID ?? "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const { start, end } = extent(trace);
  const whole = Math.max(1, end - start);
  const rows: SpanRow[] = [];
  const seen = new Set<string>();
  const visit = (span: JaegerSpan, depth: number) => {
    if (seen.has(span.spanID)) return;
    seen.add(span.spanID);
    const below = children.get(span.spanID) ?? [];
    rows.push({
      span,
      service: trace.processes[span.processID]?.serviceName ?? "",
      depth,
      offset: (span.startTime - start) / whole,
      length: span.duration / whole,
      error: isError(span),
      milliseconds: span.duration / 1000,
      ownMilliseconds: ownTime(span, below) / 1000,
    });
    for (const child of below) visit(child, depth + 1);
  };
  for (const span of children.get("") ?? []) visit(span, 0);
  return rows;
}

/** A span's time less the union of its children's. */
function ownTime(span: JaegerSpan, children: readonly JaegerSpan[]): number {
  const end = span.startTime + span.duration;
  let [covered, reached] = [0, span.startTime];
  for (const child of children) {
    const [from, to] = [Math.max(child.startTime, reached), Math.min(child.startTime + child.duration, end)];
    if (to > from) [covered, reached] = [covered + to - from, to];
  }
  return Math.max(0, span.duration - covered);
}

/** Whether a version of a service took part. Spans that tell no version may be of any. */
export function involvesVersion(trace: JaegerTrace, services: readonly string[], version: string): boolean {
  return trace.spans.some((span) => {
    const told = tagValue(span, "istio.canonical_revision");
    return services.includes(trace.processes[span.processID]?.serviceName ?? "") && (told === "" || told === version);
  });
}

export function tagValue(span: JaegerSpan, ...keys: string[]): string {
  const found = span.tags.find((tag) => keys.includes(tag.key));
  return found === undefined ? "" : String(found.value);
}

/** As OpenTelemetry and Envoy tell it: an error tag, a status of 500 or more, a gRPC status other than 0. */
export function isError(span: JaegerSpan): boolean {
  if (tagValue(span, "error") === "true" || tagValue(span, "otel.status_code") === "ERROR") return true;
  const grpc = tagValue(span, "grpc.status_code", "rpc.grpc.status_code");
  const status = Number(tagValue(span, "http.status_code", "http.response.status_code"));
  return status >= 500 || (grpc !== "" && grpc !== "0");
}
