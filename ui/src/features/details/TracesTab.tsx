/** The traces of a subject: a picture of time and duration, and the same as a table. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "react-router";
import type { ConfigChange } from "../../api/client";
import { fetchTraces, type SubjectDetails } from "../../api/pages";
import { untilAnswered } from "../../api/queries";
import { useLanguage } from "../../app/language";
import { formatClock, formatMilliseconds, formatMoment } from "../../domain/format";
import { involvesVersion, summarizeTrace, type TraceSummary } from "../../domain/traces";
import { ChangeMarks } from "../../shared/ChangeMarks";
import { Choice } from "../../shared/Choice";
import { FailureBanner } from "../../shared/failure";
import { SortTable, type Column } from "../../shared/SortTable";
import { Loading } from "../../shared/states";
import { useChangesWithin } from "../graph/useChangesWithin";
import { ROOT_NAMESPACE } from "../graph/words";
import { TracingOff } from "../traces/TracingOff";
import type { ChangeDetail, DetailAddress } from "./useDetailAddress";

const LIMIT = 100;

export function TracesTab({ data, address, change }: { data: SubjectDetails; address: DetailAddress; change: ChangeDetail }) {
  const { t, language } = useLanguage();
  const { at, durationSeconds, errorsOnly } = address;
  const services = data.traceServices;
  const version = data.kind === "workload" ? (data.workloads[0]?.version ?? "") : "";
  const query = useQuery({
    queryKey: ["traces", services, version, at, durationSeconds],
    queryFn: async ({ signal }) => {
      const to = at ?? Date.now() / 1000;
      const found = await Promise.all(services.map((service) => fetchTraces(service, { from: to - durationSeconds, to }, LIMIT, signal)));
      const traces = new Map(found.flat().map((trace) => [trace.traceID, trace]));
      return { from: to - durationSeconds, to, traces: [...traces.values()].filter((trace) => version === "" || involvesVersion(trace, services, version)).map(summarizeTrace).filter((trace) => trace !== null) };
    },
    refetchInterval: at === null ? 10_000 : untilAnswered,
    placeholderData: keepPreviousData,
  });
  const all = query.data?.traces;
  const shown = useMemo(() => (all ?? []).filter((trace) => !errorsOnly || trace.errors > 0), [all, errorsOnly]);
  const columns = useColumns(shown);
  const marked = useMemo(() => [data.namespace, ROOT_NAMESPACE], [data.namespace]);
  const changes = useChangesWithin({ from: query.data?.from, until: at, spanSeconds: durationSeconds, namespaces: marked });
  if (query.error !== null && all === undefined) return <FailureBanner error={query.error} />;
  if (query.data === undefined || all === undefined) return <Loading />;
  if (all.length === 0 && !data.traced) return <TracingOff />;
  const errors = all.filter((trace) => trace.errors > 0).length;
  return (
    <section aria-label={t("traces")}>
      <div className="section-head">
        <p className="soft" role="status">
          {t("traceCount", { count: all.length, errors })}
          {all.length >= LIMIT && ` ${t("traceLimit", { limit: LIMIT })}`}
        </p>
        <Choice
          label={t("show")}
          value={errorsOnly ? "errors" : ""}
          none=""
          options={[{ value: "errors", text: t("withErrors") }]}
          onChange={(value) => change({ errorsOnly: value !== "" })}
        />
      </div>
      {query.error !== null && <FailureBanner error={query.error} staleTime={formatClock(query.dataUpdatedAt / 1000, language)} />}
      {all.length === 0 && <p className="page-note">{t("noTraces")}</p>}
      {shown.length > 0 && (
        <>
          <Scatter traces={shown} from={query.data.from} to={query.data.to} changes={changes} />
          <div className="table-frame">
            <SortTable label={t("traces")} items={shown} columns={columns} rowKey={(trace) => trace.id} sort={address.sort === "" ? "-time" : address.sort} onSort={(sort) => change({ sort })} />
          </div>
        </>
      )}
    </section>
  );
}

function useColumns(traces: readonly TraceSummary[]): Column<TraceSummary>[] {
  const { t, language } = useLanguage();
  const longest = Math.max(1, ...traces.map((trace) => trace.milliseconds));
  return [
    {
      key: "time",
      label: t("time"),
      value: (trace) => trace.start,
      cell: (trace) => (
        <Link className="when" to={`/traces/${trace.id}`}>
          {formatMoment(trace.start, language)}
        </Link>
      ),
    },
    {
      key: "operation",
      label: t("operationName"),
      value: (trace) => trace.operation,
      cell: (trace) => (
        <>
          {trace.operation} <span className="soft">{trace.service.split(".")[0]}</span>
        </>
      ),
    },
    {
      key: "duration",
      label: t("duration"),
      number: true,
      value: (trace) => trace.milliseconds,
      cell: (trace) => (
        <span className="duration-cell">
          <span className="duration-bar" aria-hidden="true">
            <span className={trace.errors > 0 ? "bar-failure" : "bar-accent"} style={{ width: `${(trace.milliseconds / longest) * 100}%` }} />
          </span>
          {formatMilliseconds(trace.milliseconds)}
        </span>
      ),
    },
    { key: "spans", label: t("spans"), number: true, value: (trace) => trace.spans, cell: (trace) => trace.spans },
    {
      key: "errors",
      label: t("errors"),
      number: true,
      value: (trace) => trace.errors,
      cell: (trace) => <span className={trace.errors > 0 ? "bad" : "soft"}>{trace.errors === 0 ? "–" : trace.errors}</span>,
    },
    { key: "services", label: t("services"), value: (trace) => trace.services.length, cell: (trace) => <span className="soft">{trace.services.map((name) => name.split(".")[0]).join(", ")}</span> },
  ];
}

const [WIDTH, HEIGHT] = [1000, 130];

/** Each trace a dot: when, how long, and by its shape whether something in it failed. The table below says the same. */
function Scatter({ traces, from, to, changes }: { traces: readonly TraceSummary[]; from: number; to: number; changes: readonly ConfigChange[] }) {
  const { language } = useLanguage();
  const longest = Math.max(1, ...traces.map((trace) => trace.milliseconds));
  return (
    <div className="scatter plot-frame">
      <ChangeMarks changes={changes} first={from} last={to} />
      <div aria-hidden="true">
      <span className="scatter-most soft">{formatMilliseconds(longest)}</span>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none">
        {traces.map((trace) => {
          const x = ((trace.start / 1000 - from) / Math.max(1, to - from)) * WIDTH;
          const y = HEIGHT - 8 - (trace.milliseconds / longest) * (HEIGHT - 20);
          const size = trace.errors > 0 ? 5.5 : 5;
          return <path key={trace.id} className={trace.errors > 0 ? "dot dot-failure" : "dot"} d={`M${x} ${y}h.01`} strokeWidth={size * 2} />;
        })}
      </svg>
      <p className="soft">
        <span>{formatClock(from, language)}</span>
        <span>{formatClock(to, language)}</span>
      </p>
      </div>
    </div>
  );
}
