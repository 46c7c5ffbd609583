/** One trace: its spans as a waterfall, each of which opens to its tags. */
import { useQuery } from "@tanstack/react-query";
import { Fragment, useEffect, useMemo, useState } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import { fetchTrace, type JaegerSpan, type JaegerTrace } from "../../api/pages";
import { useLanguage } from "../../app/language";
import "../../app/pages.css";
import { loggedAddress } from "../../domain/explained";
import { formatMilliseconds, formatMoment } from "../../domain/format";
import { summarizeTrace, tagValue, traceRows, type SpanRow } from "../../domain/traces";
import { Icon } from "../../shared/icons";
import { DataState, Loading } from "../../shared/states";
import { explainFlags } from "../graph/Numbers";
import { detailsAddress } from "../overview/words";

export default function TracePage() {
  const { t } = useLanguage();
  const { trace = "" } = useParams();
  const { data, error, dataUpdatedAt } = useQuery({ queryKey: ["trace", trace], queryFn: ({ signal }) => fetchTrace(trace, signal), retry: 1 });
  useEffect(() => {
    document.title = `${t("trace")} ${trace.slice(0, 8)} · Kaiki`;
  }, [t, trace]);
  return (
    <div className="list-page">
      {data === undefined && error === null && <Loading />}
      {error !== null && <DataState data={undefined} error={error} updatedAt={dataUpdatedAt} back={{ to: "/overview", text: t("overview") }} />}
      {data === null && <p className="page-note">{t("noSuchTrace")}</p>}
      {data !== undefined && data !== null && <Waterfall trace={data} />}
    </div>
  );
}

function Waterfall({ trace }: { trace: JaegerTrace }) {
  const { t, language } = useLanguage();
  const [parameters, setParameters] = useSearchParams();
  const rows = useMemo(() => traceRows(trace), [trace]);
  const whole = useMemo(() => summarizeTrace(trace), [trace]);
  const colors = useMemo(() => new Map([...new Set(rows.map((row) => row.service))].map((name, index) => [name, index % 6])), [rows]);
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set([parameters.get("span") ?? ""]));
  if (whole === null) return <p className="page-note">{t("noSuchTrace")}</p>;
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
    setParameters(next.has(id) ? { span: id } : {}, { replace: true });
  };
  return (
    <>
      <header className="list-head detail-head">
        <div className="detail-title">
          <p className="soft">
            {t("trace")} <code>{trace.traceID}</code>
          </p>
          <h1>{whole.operation}</h1>
        </div>
        <dl className="trace-facts">
          <Fact name={t("time")} value={formatMoment(whole.start, language)} />
          <Fact name={t("duration")} value={formatMilliseconds(whole.milliseconds)} />
          <Fact name={t("spans")} value={String(whole.spans)} />
          <Fact name={t("errors")} value={String(whole.errors)} bad={whole.errors > 0} />
        </dl>
      </header>
      <div className="details waterfall-page">
        <ul className="trace-services">
          {[...colors].map(([name, color]) => {
            const [app = "", namespace = ""] = name.split(".");
            return (
              <li key={name}>
                <span className={`swatch swatch-${color}`} aria-hidden="true" />
                <Link to={`${detailsAddress("app", namespace, app)}?tab=traces`}>{name}</Link>
              </li>
            );
          })}
        </ul>
        <div className="waterfall" role="region" aria-label={t("spans")}>
          <div className="waterfall-scale soft" aria-hidden="true">
            {[0, 0.25, 0.5, 0.75, 1].map((share) => (
              <span key={share}>{formatMilliseconds(whole.milliseconds * share)}</span>
            ))}
          </div>
          <ol>
            {rows.map((row) => (
              <Span key={row.span.spanID} row={row} color={colors.get(row.service) ?? 0} open={open.has(row.span.spanID)} toggle={() => toggle(row.span.spanID)} />
            ))}
          </ol>
        </div>
      </div>
    </>
  );
}

function Fact({ name, value, bad = false }: { name: string; value: string; bad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={bad ? "bad" : undefined}>{value}</dd>
    </div>
  );
}

function Span({ row, color, open, toggle }: { row: SpanRow; color: number; open: boolean; toggle: () => void }) {
  const { t } = useLanguage();
  const { span, depth, offset, length, error, milliseconds, service } = row;
  const status = tagValue(span, "http.status_code", "http.response.status_code", "grpc.status_code");
  return (
    <li>
      <button type="button" className={`span-row${open ? " open" : ""}`} aria-expanded={open} onClick={toggle}>
        <span className="span-name" style={{ paddingLeft: 8 + Math.min(depth, 12) * 14 }}>
          <span className={`swatch swatch-${color}`} aria-hidden="true" />
          <strong>{service.split(".")[0]}</strong> <span className="soft">{span.operationName}</span>
        </span>
        <span className="span-line">
          <span className={`span-bar swatch-${color}${error ? " span-error" : ""}`} style={{ left: `${offset * 100}%`, width: `max(3px, ${length * 100}%)` }} />
          <span className="span-told" style={{ left: `${(offset + length) * 100}%` }}>
            {error && <Icon name="warning" size={13} />}
            {error && <span className="hidden">{t("withErrors")}</span>}
            {formatMilliseconds(milliseconds)} {status !== "" && status !== "200" && status !== "0" && <b className={error ? "bad" : ""}>{status}</b>}
          </span>
        </span>
      </button>
      {open && <SpanDetails row={row} />}
    </li>
  );
}

/** A proxy's span as the page that explains requests takes it. */
const spanQuestion = (span: JaegerSpan) => ({
  tags: Object.fromEntries(span.tags.map((tag) => [tag.key, String(tag.value)])),
  time: span.startTime / 1e6,
  duration: Math.round(span.duration / 1000),
});

function SpanDetails({ row: { span, service, ownMilliseconds, milliseconds } }: { row: SpanRow }) {
  const { t } = useLanguage();
  const flags = explainFlags(tagValue(span, "response_flags"), t);
  return (
    <div className="span-details">
      <p>
        {service} · {t("duration")} {formatMilliseconds(milliseconds)} · {t("ownTime")} {formatMilliseconds(ownMilliseconds)}
        {flags !== "" && <strong className="bad"> · {flags}</strong>}
        {tagValue(span, "node_id").includes("~") && (
          <>
            {" "}
            · <Link to={loggedAddress(spanQuestion(span))}>{t("explainRequest")}</Link>
          </>
        )}
      </p>
      <dl className="tags">
        {[...span.tags]
          .sort((one, other) => one.key.localeCompare(other.key))
          .map((tag) => (
            <Fragment key={tag.key}>
              <dt>{tag.key}</dt>
              <dd>
                <code>{String(tag.value)}</code>
              </dd>
            </Fragment>
          ))}
      </dl>
      {span.logs.map((event) => (
        <p key={event.timestamp} className="soft">
          {formatMilliseconds((event.timestamp - span.startTime) / 1000)}: {event.fields.map((field) => `${field.key}=${String(field.value)}`).join(" ")}
        </p>
      ))}
    </div>
  );
}
