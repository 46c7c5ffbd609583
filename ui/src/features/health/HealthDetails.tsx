/** Why something is red, or green: thresholds, numbers, sample requests and sample traces. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { fetchHealth, fetchRequests, type HealthCheck, type HealthDetails as Details, type HealthStatus } from "../../api/client";
import { fetchTraces } from "../../api/pages";
import { useLanguage, useText, type Translate } from "../../app/language";
import type { TextKey } from "../../app/texts";
import { formatMilliseconds, formatMoment, formatNumber, formatShare } from "../../domain/format";
import { sortBy } from "../../domain/list";
import { summarizeTrace } from "../../domain/traces";
import { FailureBanner } from "../../shared/failure";
import { HealthLabel } from "../../shared/health";
import { Loading } from "../../shared/states";
import { explainFlags } from "../graph/Numbers";
import type { HealthScope } from "./HealthButton";

const SAMPLES = 5;
const WORST_FIRST: readonly string[] = ["failure", "degraded", "notReady", "healthy", "idle"];
const LOOKED_AT_TRACES = 60;
const LEAST_SAMPLE_SECONDS = 600;

export default function HealthDetails({ kind, id, scope }: { kind: "node" | "edge"; id: string; scope: HealthScope }) {
  const t = useText();
  const { data, error } = useQuery({ queryKey: ["health", kind, id, scope], queryFn: ({ signal }) => fetchHealth(kind, id, scope, signal), retry: false });
  if (error !== null) return <FailureBanner error={error} />;
  if (data === undefined) return <Loading />;
  const checked = sortBy(data.checks.filter((check) => check.share !== null), (check) => WORST_FIRST.indexOf(check.status), false);
  return (
    <div className="health-details">
      {data.warnings.map((warning) => (
        <p key={warning.code} className="notice">
          {warning.message}
        </p>
      ))}
      {data.replicas.length > 0 && (
        <ul className="plain">
          {data.replicas.map((one) => (
            <li key={`${one.namespace}/${one.name}`}>
              <HealthLabel status={one.status as HealthStatus} /> {t("replicasOf", { name: one.name, available: one.available, desired: one.desired })}
            </li>
          ))}
        </ul>
      )}
      {checked.length === 0 ? <p className="soft">{t("noRequestsMeasured")}</p> : <Checks checks={checked} />}
      <Outcomes checks={checked} />
      <Requests data={data} />
      <Traces data={data} />
      <p className="soft small">{t("toleranceHint")}</p>
    </div>
  );
}

const nameOf = (check: HealthCheck, t: Translate) => t(`tolerance.${check.name}` as TextKey, { code: check.code });

function Checks({ checks }: { checks: readonly HealthCheck[] }) {
  const t = useText();
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={t("measuredShare")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("health")}</th>
            <th scope="col">{t("toleranceOf")}</th>
            <th scope="col" className="number">
              {t("measuredShare")}
            </th>
            <th scope="col">{t("degradedFrom")}</th>
            <th scope="col">{t("failureFrom")}</th>
            <th scope="col">{t("toleranceFrom")}</th>
          </tr>
        </thead>
        <tbody>
          {checks.map((check) => (
            <tr key={`${check.direction}/${check.name}/${check.code}/${check.protocol}`}>
              <td>
                <HealthLabel status={check.status as HealthStatus} />
              </td>
              <td>
                {nameOf(check, t)} <span className="soft">{t(`direction.${check.direction}` as TextKey)}</span>
                {check.source !== "default" && check.protocol !== "" && <code className="soft small block">{check.protocol}</code>}
              </td>
              <td className="number">
                {formatShare(check.share)}{" "}
                <span className="soft">
                  {formatNumber(Math.round(check.errors))}/{formatNumber(Math.round(check.requests))}
                </span>
              </td>
              <td>{check.degraded > 0 ? t("fromShare", { share: formatShare(check.degraded) }) : t("aboveShare", { share: "0%" })}</td>
              <td>{t("fromShare", { share: formatShare(check.failure) })}</td>
              <td className="soft">{t(`toleranceSource.${check.source}` as TextKey)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Outcomes({ checks }: { checks: readonly HealthCheck[] }) {
  const t = useText();
  const rows = checks.flatMap((check) => check.outcomes.map((outcome) => ({ ...outcome, direction: check.direction })));
  if (rows.length === 0) return null;
  return (
    <section>
      <h3>{t("errorsByCode")}</h3>
      <ul className="plain">
        {rows.map((row) => (
          <li key={`${row.direction}/${row.protocol}/${row.code}/${row.flags}`}>
            <strong>{row.code}</strong> {row.flags !== "-" && <code>{row.flags}</code>} {explainFlags(row.flags, t)}{" "}
            <span className="soft">
              {row.protocol}, {t(`direction.${row.direction}` as TextKey)}: {formatNumber(Math.round(row.count))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The codes the request log can be searched for; those of gRPC stand in trailers, not in its code. */
function codesOf(checks: readonly HealthCheck[]): string {
  const codes = checks.flatMap((check) => check.outcomes.map((outcome) => outcome.code)).filter((code) => /^\d{3}$|^0$/.test(code));
  return [...new Set(codes)].sort().join(",");
}

function Requests({ data }: { data: Details }) {
  const { t, language } = useLanguage();
  const codes = codesOf(data.checks);
  const [workload] = data.workloads;
  const seconds = Math.max(data.durationSeconds, LEAST_SAMPLE_SECONDS);
  const filters = { namespaces: workload?.namespace ?? "", workload: data.workloads.length === 1 ? (workload?.name ?? "") : "", codes, duration: `${seconds}s` };
  const { data: found, error } = useQuery({
    queryKey: ["health requests", filters, data.timestamp, language],
    queryFn: ({ signal }) => fetchRequests({ ...filters, at: data.timestamp, most: SAMPLES, language }, signal),
    enabled: codes !== "" && workload !== undefined,
  });
  if (codes === "" || workload === undefined) return null;
  return (
    <section>
      <h3>{t("sampleRequests")}</h3>
      {error !== null && <p className="notice">{error.message}</p>}
      {found?.items.length === 0 && <p className="soft">{t("noSampleRequests")}</p>}
      <ul className="plain">
        {found?.items.map(({ entry, pod, reasons }) => (
          <li key={`${entry.request_id}/${pod}/${entry.time}`}>
            <span className="soft">{formatMoment(entry.time * 1000, language)}</span> {entry.method} {entry.authority}
            {entry.path} <strong>{entry.response_code}</strong> {reasons[0]?.text}
          </li>
        ))}
      </ul>
      <Link to={`/requests?${new URLSearchParams(Object.entries(filters).filter(([, value]) => value !== "")).toString()}`}>{t("allRequests")}</Link>
    </section>
  );
}

function Traces({ data }: { data: Details }) {
  const { t, language } = useLanguage();
  const wanted = data.traceServices.slice(0, SAMPLES);
  const failed = data.checks.some((check) => check.errors > 0);
  const { data: found, error } = useQuery({
    queryKey: ["health traces", wanted, data.timestamp],
    queryFn: async ({ signal }) => {
      const range = { from: data.timestamp - Math.max(data.durationSeconds, LEAST_SAMPLE_SECONDS), to: data.timestamp + 1 };
      const traces = await Promise.all(wanted.map((service) => fetchTraces(service, range, LOOKED_AT_TRACES, signal)));
      const known = new Map(traces.flat().map((trace) => [trace.traceID, trace]));
      return [...known.values()].map(summarizeTrace).filter((trace) => trace !== null && trace.errors > 0).slice(0, SAMPLES);
    },
    enabled: failed && wanted.length > 0,
    retry: false,
  });
  if (!failed || wanted.length === 0) return null;
  return (
    <section>
      <h3>{t("sampleTraces")}</h3>
      {error !== null && <p className="notice">{error.message}</p>}
      {found?.length === 0 && <p className="soft">{t("noSampleTraces")}</p>}
      <ul className="plain">
        {found?.map(
          (trace) =>
            trace !== null && (
              <li key={trace.id}>
                <Link to={`/traces/${trace.id}`}>
                  {formatMoment(trace.start, language)} {trace.operation}
                </Link>{" "}
                <span className="soft">
                  {trace.service.split(".")[0]}, {formatMilliseconds(trace.milliseconds)}
                </span>
              </li>
            ),
        )}
      </ul>
    </section>
  );
}
