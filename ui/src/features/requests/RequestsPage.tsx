/** The proxies' access logs, searched: by workload, time, code, flag and path; why a request failed, and through which object. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { fetchNamespaces, fetchRequests, fetchWorkloads, type LoggedRequest, type LoggedRequests } from "../../api/client";
import { useLanguage } from "../../app/language";
import { loggedAddress } from "../../domain/explained";
import { Choice } from "../../shared/Choice";
import { Command } from "../../shared/Command";
import { DataState } from "../../shared/states";
import { useParameters } from "../../shared/useParameters";
import { ReasonList, ResponsibleList } from "./ResponsibleList";

const WINDOWS = ["5m", "15m", "1h", "6h", "1d"] as const;
const FILTERS = ["namespaces", "workload", "codes", "flags", "path"] as const;
type Filter = (typeof FILTERS)[number] | "duration";
const EXAMPLE = "kubectl apply -f samples/telemetry/log-failures.yaml";

export default function RequestsPage() {
  const { t, language } = useLanguage();
  const [parameters, set] = useParameters();
  const [chosen, setChosen] = useState("");
  const filters = Object.fromEntries(FILTERS.map((name) => [name, parameters.get(name) ?? ""])) as Record<Filter, string>;
  filters.duration = parameters.get("duration") ?? "1h";
  const query = useQuery({
    queryKey: ["requests", filters, language],
    queryFn: ({ signal }) => fetchRequests({ ...filters, language }, signal),
    refetchInterval: 5000,
    placeholderData: (before) => before,
  });
  const items = query.data?.items ?? [];
  const selected = items.find((item) => keyOf(item) === chosen);
  return (
    <div className="list-page">
      <title>{`${t("requestLog")} · Kaiki`}</title>
      <header className="list-head">
        <h1>{t("requestLog")}</h1>
        <Filters filters={filters} set={set} answer={query.data} />
      </header>
      <DataState data={query.data} error={query.error} updatedAt={query.dataUpdatedAt} />
      <div className="list-body">
        <div className="table-scroll" tabIndex={0} role="region" aria-label={t("requestLog")}>
          {query.data !== undefined && <State answer={query.data} />}
          {items.length > 0 && <Table items={items} chosen={chosen} choose={setChosen} />}
        </div>
        <aside className="panel panel-wide" aria-label={t("why")}>
          {selected === undefined ? <p className="soft">{t("requestLogHint")}</p> : <Details item={selected} />}
        </aside>
      </div>
    </div>
  );
}

const keyOf = ({ namespace, pod, side, entry }: LoggedRequest) =>
  [namespace, pod, side, entry.time, entry.request_id, entry.downstream_remote_address, entry.path, entry.response_code].join(" ");
const TIME = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false } as const;

interface FiltersProperties {
  filters: Record<Filter, string>;
  set: (name: Filter, value: string) => void;
  answer: LoggedRequests | undefined;
}

function Filters({ filters, set, answer }: FiltersProperties) {
  const { t } = useLanguage();
  const namespaces = useQuery({ queryKey: ["namespaces"], queryFn: ({ signal }) => fetchNamespaces(signal) });
  const workloads = useQuery({ queryKey: ["workloads"], queryFn: ({ signal }) => fetchWorkloads(signal) });
  const names = (workloads.data?.items ?? []).filter((item) => filters.namespaces === "" || item.namespace === filters.namespaces);
  return (
    <>
      <Choice
        label={t("namespace")}
        value={filters.namespaces}
        none={t("allNamespaces")}
        options={(namespaces.data?.items ?? []).map((item) => item.name)}
        onChange={(value) => set("namespaces", value)}
      />
      <Choice
        label={t("workloads")}
        value={filters.workload}
        none={t("anyWorkload")}
        options={[...new Set([...names.map((item) => item.name), filters.workload])].filter(Boolean)}
        onChange={(value) => set("workload", value)}
      />
      <Choice label={t("window")} value={filters.duration} options={[...new Set([...WINDOWS, filters.duration])]} onChange={(value) => set("duration", value)} />
      <Choice
        label={t("responseFlag")}
        value={filters.flags}
        none={t("anyFlag")}
        options={[{ value: "-", text: t("noFlag") }, ...(answer?.flags ?? []).map(({ flag, text }) => ({ value: flag, text: flag, title: text }))]}
        onChange={(value) => set("flags", value)}
      />
      <Words label={t("responseCode")} hint={t("codesHint")} value={filters.codes} set={(value) => set("codes", value)} size={7} valid={/^\s*(\d{3}|\dxx|0)?(\s*,\s*(\d{3}|\dxx|0))*\s*$/} />
      <Words label={t("pathContains")} hint="/" value={filters.path} set={(value) => set("path", value)} size={16} />
    </>
  );
}

interface WordsProperties {
  label: string;
  hint: string;
  value: string;
  set: (value: string) => void;
  size: number;
  valid?: RegExp;
}

/** What is being typed is asked for as soon as it can be meant. */
function Words({ label, hint, value, set, size, valid }: WordsProperties) {
  const [text, setText] = useState(value);
  const wrong = valid !== undefined && !valid.test(text);
  return (
    <label className="find">
      <span>{label}</span>
      <input
        type="search"
        size={size}
        value={text}
        placeholder={hint}
        aria-invalid={wrong}
        onChange={(event) => {
          setText(event.target.value);
          if (valid?.test(event.target.value) ?? true) set(event.target.value.trim());
        }}
      />
    </label>
  );
}

function State({ answer }: { answer: LoggedRequests }) {
  const { t } = useLanguage();
  const unread = answer.podsUnread > 0 && <p className="page-note">{t("requestLogUnread", { count: answer.podsUnread })}</p>;
  if (answer.logged === 0 && unread !== false) return unread; // Whether there is a log is not known.
  return (
    <>
      {unread}
      {answer.logged === 0 ? (
        <div className="page-note">
          <p>{t("requestLogNone")}</p>
          <Command text={EXAMPLE} />
          <p className="soft">{t("requestLogTelemetry")}</p>
        </div>
      ) : (
        <p className={answer.found === 0 ? "page-note" : "request-count soft"} role="status">
          {answer.found === 0 ? t("requestLogNothing") : t("requestLogCount", { shown: answer.items.length, found: answer.found, pods: answer.pods })}
        </p>
      )}
      {answer.podsLeftOut > 0 && <p className="request-count soft">{t("requestLogLeftOut", { count: answer.podsLeftOut })}</p>}
    </>
  );
}

function Table({ items, chosen, choose }: { items: LoggedRequest[]; chosen: string; choose: (key: string) => void }) {
  const { t, language } = useLanguage();
  return (
    <table>
      <thead>
        <tr>
          {[t("time"), t("workloads"), t("requestPath"), t("responseCode"), t("responseFlag"), t("duration"), t("why")].map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {items.map((item) => {
          const { entry } = item;
          const key = keyOf(item);
          return (
            <tr key={key} className={key === chosen ? "selected" : ""}>
              <td className="when">{new Date(entry.time * 1000).toLocaleTimeString(language, TIME)}</td>
              <td>
                {item.workload} <span className="soft">{t(`side.${item.side}`)}</span>
              </td>
              <td className="request-cell">
                <button type="button" className="link request-link" onClick={() => choose(key)}>
                  {entry.method === "" ? entry.upstream_cluster || entry.downstream_local_address : `${entry.method} ${entry.authority}${entry.path}`}
                </button>
              </td>
              <td>{entry.response_code}</td>
              <td>
                <code>{entry.response_flags}</code>
              </td>
              <td>{entry.duration} ms</td>
              <td className="why-cell">
                {item.reasons.map((reason) => reason.text).join(" ")}
                {item.responsible.slice(0, 1).map((one) => ` ${one.kind} ${one.namespace}/${one.name}`)} <ExplainLink item={item} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** To the page that walks this very request through the proxy. */
function ExplainLink({ item: { namespace, pod, workload, entry } }: { item: LoggedRequest }) {
  const { t } = useLanguage();
  return <Link to={loggedAddress({ namespace, pod, workload, entry })}>{t("explainRequest")}</Link>;
}

function Details({ item }: { item: LoggedRequest }) {
  const { t, language } = useLanguage();
  const { entry } = item;
  return (
    <>
      <header className="panel-head">
        <span className="panel-kind">
          {t(`side.${item.side}`)} · {item.namespace}/{item.pod}
        </span>
        <h2 className="request-title">
          {entry.method} {entry.path} {entry.response_code}
        </h2>
        <p className="soft">{new Date(entry.time * 1000).toLocaleString(language, { hour12: false })}</p>
      </header>
      <h3>{t("why")}</h3>
      <ReasonList reasons={item.reasons} />
      <ResponsibleList objects={item.responsible} />
      <p>
        <ExplainLink item={item} />
      </p>
      <h3>{t("logDetails")}</h3>
      <dl className="request-fields">
        {Object.entries(entry)
          .filter(([name, value]) => name !== "time" && value !== "")
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{String(value)}</dd>
            </div>
          ))}
      </dl>
    </>
  );
}
