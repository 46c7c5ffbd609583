/** A proxy's configuration, part by part: searched, sorted and paged by the server, since a mesh has thousands of rows. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import { Link, useSearchParams } from "react-router";
import { fetchProxy, PARTS, PROXY_ROWS, proxyDump, type Part, type ProxyConfiguration } from "../../api/pages";
import { useText } from "../../app/language";
import { HealthMark } from "../../shared/health";
import { Icon } from "../../shared/icons";
import { SortTable, type Column } from "../../shared/SortTable";
import { DataState } from "../../shared/states";
import { detailsAddress } from "../overview/words";
import { useClusterColumns, useEndpointColumns } from "./clusterColumns";
import { useListenerColumns, useRouteColumns, useSecretColumns } from "./columns";

const TYPING_MILLISECONDS = 250;

/** The part, what is searched, the order and the first row, in the page's address beside what else stands there. */
function useProxyAddress() {
  const [parameters, setParameters] = useSearchParams();
  const part = PARTS.find((one) => one === parameters.get("part")) ?? "listeners";
  const from = Number(parameters.get("from"));
  const query = { part, q: parameters.get("find") ?? "", sort: parameters.get("order") ?? "", offset: Number.isInteger(from) && from > 0 ? from : 0 };
  const changed = (change: Record<string, string>): URLSearchParams => {
    const next = new URLSearchParams(parameters);
    for (const [name, value] of Object.entries({ from: "", ...change })) {
      if (value === "") next.delete(name);
      else next.set(name, value);
    }
    return next;
  };
  const change = (what: Record<string, string>) => setParameters(changed(what), { replace: true });
  return { query, changed, change };
}

export type GoTo = (part: Part, find: string) => string;

export function ProxyConfig({ namespace, pod, choice }: { namespace: string; pod: string; choice?: ReactNode }) {
  const t = useText();
  const { query, changed, change } = useProxyAddress();
  const { data, error, isPlaceholderData, dataUpdatedAt } = useQuery({
    queryKey: ["proxy", namespace, pod, query],
    queryFn: ({ signal }) => fetchProxy(namespace, pod, query, signal),
    refetchInterval: 10_000,
    placeholderData: keepPreviousData,
  });
  const goTo: GoTo = (part, find) => `?${changed({ part, find, order: "" }).toString()}`;
  return (
    <section className="proxy-config" aria-label={t("proxyPage")}>
      <div className="section-head">
        {choice}
        {data !== undefined && <Facts data={data} />}
        <div className="list-tools">
          <Find key={query.part} value={query.q} set={(find) => change({ find })} />
          <a className="control" href={proxyDump(namespace, pod)} download title={t("proxyDownloadHint")}>
            {t("proxyDownload")}
          </a>
        </div>
      </div>
      <DataState data={data === undefined ? undefined : {}} error={error} updatedAt={dataUpdatedAt} />
      {data !== undefined && (
        <>
          <Rejections data={data} />
          <nav className="tabs" aria-label={t("proxyPage")}>
            {PARTS.map((part) => (
              <Link key={part} className="tab" aria-current={part === query.part ? "page" : undefined} to={goTo(part, query.q)} replace>
                {t(`part.${part}`)} <span className="pill">{data.counts[part]}</span>
              </Link>
            ))}
          </nav>
          <p className="soft">{t(`partHint.${query.part}`)}</p>
          {data.part === query.part && (data.total === 0 ? <p className="page-note">{t("nothingFits")}</p> : <Rows data={data} sort={query.sort} onSort={(order) => change({ order })} goTo={goTo} busy={isPlaceholderData} />)}
          <Pages data={data} goTo={(from) => change({ from: from === 0 ? "" : String(from) })} />
        </>
      )}
    </section>
  );
}

function Facts({ data }: { data: ProxyConfiguration }) {
  const t = useText();
  const state = data.rejected.length > 0 ? "rejecting" : data.synced ? "synced" : "stale";
  const shape = ({ rejecting: "failure", synced: "healthy", stale: "degraded" } as const)[state];
  return (
    <p className="proxy-facts">
      <span className={`health health-${shape}`}>
        <HealthMark status={shape} />
        {t(`proxy.${state}`)}
      </span>
      <span>Envoy {data.version}</span>
      {data.workload !== "" && <Link to={detailsAddress("workload", data.namespace, data.workload)}>{data.workload}</Link>}
      <span className="soft">{t("proxyToldBy", { replica: data.replica, generation: data.generation })}</span>
    </p>
  );
}

function Rejections({ data }: { data: ProxyConfiguration }) {
  return data.rejected.map((item) => (
    <p key={item.type + item.name} className="rejection">
      <code>
        {item.type} {item.name}
      </code>{" "}
      {item.reason}
    </p>
  ));
}

/** What is being typed is asked for once the typing rests. */
function Find({ value, set }: { value: string; set: (value: string) => void }) {
  const t = useText();
  const [text, setText] = useState(value);
  const [given, setGiven] = useState(value);
  if (given !== value) {
    setGiven(value);
    setText(value);
  }
  useEffect(() => {
    if (text === value) return undefined;
    const timer = window.setTimeout(() => set(text), TYPING_MILLISECONDS);
    return () => window.clearTimeout(timer);
  });
  return (
    <label className="find find-wide">
      <Icon name="search" size={16} />
      <span className="hidden">{t("proxyFind")}</span>
      <input type="search" value={text} placeholder={t("proxyFind")} onChange={(event) => setText(event.target.value)} />
    </label>
  );
}

interface RowsProperties {
  data: ProxyConfiguration;
  sort: string;
  onSort: (sort: string) => void;
  goTo: GoTo;
  busy: boolean;
}

function Rows({ data, busy, goTo, ...order }: RowsProperties) {
  const t = useText();
  const listeners = useListenerColumns(goTo, data.kind === "sidecar");
  const routes = useRouteColumns(goTo);
  const clusters = useClusterColumns(goTo);
  const endpoints = useEndpointColumns(goTo);
  const secrets = useSecretColumns();
  const table = <Item,>(items: readonly Item[], columns: readonly Column<Item>[]) => (
    <SortTable label={t(`part.${data.part as Part}`)} items={items} columns={columns} rowKey={(item) => `${data.offset + items.indexOf(item)}`} ordered {...order} />
  );
  return (
    <div className={busy ? "table-frame busy-frame" : "table-frame"} tabIndex={0} role="region" aria-label={t(`part.${data.part as Part}`)} aria-busy={busy}>
      {data.part === "listeners" && table(data.listeners, listeners)}
      {data.part === "routes" && table(data.routes, routes)}
      {data.part === "clusters" && table(data.clusters, clusters)}
      {data.part === "endpoints" && table(data.endpoints, endpoints)}
      {data.part === "secrets" && table(data.secrets, secrets)}
    </div>
  );
}

function Pages({ data: { total, offset }, goTo }: { data: ProxyConfiguration; goTo: (from: number) => void }) {
  const t = useText();
  if (total <= PROXY_ROWS && offset === 0) return null;
  return (
    <p className="pages">
      <button type="button" className="control" disabled={offset === 0} onClick={() => goTo(Math.max(0, offset - PROXY_ROWS))}>
        {t("previousPage")}
      </button>
      <span role="status">{t("proxyRows", { from: Math.min(offset + 1, total), to: Math.min(offset + PROXY_ROWS, total), all: total })}</span>
      <button type="button" className="control" disabled={offset + PROXY_ROWS >= total} onClick={() => goTo(offset + PROXY_ROWS)}>
        {t("nextPage")}
      </button>
    </p>
  );
}
