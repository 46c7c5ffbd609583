/** The application's and the sidecar's log side by side, live, with one search over both. */
import { useEffect, useMemo, useRef } from "react";
import type { SubjectDetails } from "../../api/pages";
import { useText } from "../../app/language";
import { splitAround } from "../../domain/logLines";
import { Choice } from "../../shared/Choice";
import { Icon } from "../../shared/icons";
import type { ChangeDetail, DetailAddress } from "./useDetailAddress";
import { useLog } from "./useLog";

const SIDECAR = "istio-proxy";
const REDIRECTION = "istio-init";
/** A proxy that writes an access log has more lines than this soon. */
const FEW_LINES = 5;

export function LogsTab({ data: { namespace, pods }, address, change }: { data: SubjectDetails; address: DetailAddress; change: ChangeDetail }) {
  const t = useText();
  const pod = pods.find((item) => item.name === address.pod) ?? pods[0];
  if (pod === undefined) return <p className="page-note">{t("noPods")}</p>;
  const names = pod.containers.map((container) => container.name).filter((name) => name !== REDIRECTION);
  const ordered = [...names.filter((name) => name !== SIDECAR), ...names.filter((name) => name === SIDECAR)];
  const restarted = pod.containers.some((container) => container.restarts > 0);
  return (
    <section className="logs" aria-label={t("logs")}>
      <div className="logs-head">
        <Choice label={t("pod")} value={pod.name} options={pods.map((item) => item.name)} onChange={(name) => change({ pod: name })} />
        <label className="find">
          <Icon name="search" size={16} />
          <span className="hidden">{t("findInLogs")}</span>
          <input type="search" value={address.search} placeholder={t("findInLogs")} onChange={(event) => change({ search: event.target.value })} />
        </label>
        <button type="button" className="control" aria-pressed={address.follow} disabled={address.previous} onClick={() => change({ follow: !address.follow })}>
          <Icon name={address.follow ? "pause" : "play"} size={15} /> {t("follow")}
        </button>
        {(restarted || address.previous) && (
          <button type="button" className="control" aria-pressed={address.previous} onClick={() => change({ previous: !address.previous })}>
            <Icon name="retry" size={15} /> {t("previousRun")}
          </button>
        )}
      </div>
      <div className="log-columns">
        {ordered.map((container) => (
          <Log key={`${pod.name}/${container}`} place={{ namespace, pod: pod.name, container }} address={address} />
        ))}
      </div>
    </section>
  );
}

function Log({ place, address: { search, follow, previous } }: { place: { namespace: string; pod: string; container: string }; address: DetailAddress }) {
  const t = useText();
  const view = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const { text, state, error } = useLog(place, follow, previous);
  const wanted = search.trim().toLowerCase();
  const shown = useMemo(() => {
    const numbered = text.lines.map((line, index) => ({ line, number: text.dropped + index }));
    return wanted === "" ? numbered : numbered.filter(({ line }) => line.toLowerCase().includes(wanted));
  }, [text, wanted]);
  useEffect(() => {
    // Only for who is at the end already: nobody is torn away from what they are reading.
    if (view.current !== null && atEnd.current) view.current.scrollTop = view.current.scrollHeight;
  }, [shown]);
  return (
    <section className="log" aria-label={`${t("logs")}: ${place.container}`}>
      <h2>
        {place.container}
        <span className={`log-state log-${state}`}>
          <span className="pulse" aria-hidden="true" /> {t(`log.${state}`)}
        </span>
        <span className="soft">{t("logLines", { shown: shown.length, all: text.lines.length })}</span>
      </h2>
      {error !== "" && (
        <p className="notice" role="status">
          {error}
        </p>
      )}
      <div
        ref={view}
        className="log-text"
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={place.container}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
        }}
      >
        {place.container === SIDECAR && state !== "loading" && state !== "failed" && text.lines.length < FEW_LINES && <p className="soft">{t("noAccessLog")}</p>}
        {shown.length === 0 && state !== "loading" && state !== "failed" && <p className="soft">{t(wanted === "" ? "noLines" : "nothingFound")}</p>}
        {shown.map(({ line, number }) => (
          <LogLine key={number} line={line} wanted={wanted} />
        ))}
      </div>
    </section>
  );
}

/** Lines that tell of trouble stand out: server errors in an access log, and the usual words. */
const TROUBLE = /\b(error|fatal|panic|exception|traceback)\b|"\s?5\d\d\b|\bcritical\b/i;

function LogLine({ line, wanted }: { line: string; wanted: string }) {
  return (
    <p className={TROUBLE.test(line) ? "log-line trouble" : "log-line"}>
      {wanted === "" ? line : splitAround(line, wanted).map((part, index) => (index % 2 === 1 ? <mark key={index}>{part}</mark> : part))}
    </p>
  );
}
