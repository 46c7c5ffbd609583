/** The mesh itself: control plane, gateways, stores, and every proxy with its state. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, type ReactNode } from "react";
import { Link } from "react-router";
import type { HealthStatus } from "../../api/client";
import { fetchMesh, type Mesh, type Proxy } from "../../api/pages";
import { useLanguage, useText, type Translate } from "../../app/language";
import "../../app/pages.css";
import { formatMoment, formatNumber } from "../../domain/format";
import { Choice } from "../../shared/Choice";
import { Command } from "../../shared/Command";
import { HealthMark } from "../../shared/health";
import { Icon } from "../../shared/icons";
import { SortTable, type Column } from "../../shared/SortTable";
import { DataState, Freshness } from "../../shared/states";
import { durationText } from "../graph/words";
import { detailsAddress } from "../overview/words";
import { CertificateCell } from "./CertificateCell";
import { proxyAddress } from "../proxy/origins";
import { useParameters } from "../../shared/useParameters";
import { ProxyState } from "./ProxyState";

const STATES = ["rejecting", "never", "stale", "unknown", "synced"] as const;

export default function MeshPage() {
  const t = useText();
  const { data, error, dataUpdatedAt, isFetching } = useQuery({ queryKey: ["mesh"], queryFn: ({ signal }) => fetchMesh(signal), refetchInterval: 5000 });
  useEffect(() => {
    document.title = `${t("mesh")} · Kaiki`;
  }, [t]);
  return (
    <div className="list-page">
      <header className="list-head">
        <h1>
          {t("mesh")} {data !== undefined && <span className="pill">Kaiki {data.version}</span>}
        </h1>
        <Freshness at={null} updatedAt={dataUpdatedAt} fetching={isFetching} back={() => undefined} />
      </header>
      <DataState data={data} error={error} updatedAt={dataUpdatedAt} />
      {data !== undefined && (
        <div className="details mesh-page">
          <div className="parts">
            <ControlPlane mesh={data} />
            <Gateways mesh={data} />
            <Metrics mesh={data} />
            <Traces mesh={data} />
          </div>
          <Proxies proxies={data.proxies} />
        </div>
      )}
    </div>
  );
}

function Part({ title, health, told, children }: { title: string; health: HealthStatus; told: string; children: ReactNode }) {
  return (
    <section className={`part card-${health}`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span className={`health health-${health}`}>
          <HealthMark status={health} />
          {told}
        </span>
      </header>
      {children}
    </section>
  );
}

function Row({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function ControlPlane({ mesh: { controlPlane } }: { mesh: Mesh }) {
  const { t, language } = useLanguage();
  const answering = controlPlane.filter((replica) => replica.reachable).length;
  const health = answering === 0 ? "failure" : answering < controlPlane.length ? "degraded" : "healthy";
  return (
    <Part title={t("controlPlane")} health={health} told={t("answering", { count: answering, all: controlPlane.length })}>
      {controlPlane.map((replica) => (
        <dl key={replica.name} className="facts replica">
          <Row name={t("name")}>
            {replica.name} {!replica.reachable && <span className="bad">{t("notAnswering")}</span>}
          </Row>
          <Row name={t("version")}>{replica.version === "" ? "–" : replica.version}</Row>
          <Row name={t("proxies")}>{replica.reachable ? replica.proxies : "–"}</Row>
          <Row name={t("restarts")}>
            {replica.started === "" ? "–" : replica.restarts} {replica.started !== "" && <span className="soft">· {t("since", { time: formatMoment(replica.started, language) })}</span>}
          </Row>
        </dl>
      ))}
      {answering === 0 && (
        <>
          <p className="soft">{t("controlPlaneDown")}</p>
          <Command text="kubectl -n istio-system get pods -l app=istiod" />
        </>
      )}
    </Part>
  );
}

function Gateways({ mesh: { gateways } }: { mesh: Mesh }) {
  const t = useText();
  const [wanted, there] = [sum(gateways.map((one) => one.desiredReplicas)), sum(gateways.map((one) => one.availableReplicas))];
  const health = gateways.length === 0 ? "idle" : there === 0 ? "failure" : there < wanted ? "degraded" : "healthy";
  return (
    <Part title={t("gateways")} health={health} told={gateways.length === 0 ? t("none") : t("available", { count: there, all: wanted })}>
      {gateways.map((one) => (
        <dl key={`${one.namespace}/${one.name}`} className="facts replica">
          <Row name={t("name")}>
            <Link to={detailsAddress("workload", one.namespace, one.name)}>{one.name}</Link> <span className="soft">{one.namespace}</span>
          </Row>
          {one.services.map((service) => (
            <Row key={service.name} name={service.type}>
              <code>{service.external.length > 0 ? service.external.join(", ") : service.address}</code>{" "}
              <span className="soft">{service.ports.map((port) => `${port.name === "" ? "" : `${port.name}:`}${port.number}`).join(", ")}</span>
            </Row>
          ))}
        </dl>
      ))}
    </Part>
  );
}

function Metrics({ mesh: { metrics } }: { mesh: Mesh }) {
  const { t, language } = useLanguage();
  return (
    <Part title={t("metricsStore")} health={metrics.reachable ? "healthy" : "failure"} told={t(metrics.reachable ? "reachable" : "notAnswering")}>
      <dl className="facts">
        <Row name={t("address")}>
          <code>{metrics.url}</code>
        </Row>
        {metrics.reachable ? (
          <>
            <Row name={t("version")}>{[metrics.version, metrics.product].filter((part) => part !== "").join(" · ") || "–"}</Row>
            <Row name={t("series")}>{metrics.series === null ? "–" : formatNumber(metrics.series)}</Row>
            <Row name={t("retention")}>{retentionText(metrics.retention, t)}</Row>
            {metrics.oldest !== null && <Row name={t("oldest")}>{formatMoment(metrics.oldest * 1000, language)}</Row>}
          </>
        ) : (
          <Row name={t("reason")}>{metrics.error}</Row>
        )}
      </dl>
      {metrics.finding !== "" && <p className="finding-mark">{metrics.finding}</p>}
      {!metrics.reachable && <Command text="kubectl -n istio-system get pods -l app.kubernetes.io/name=prometheus" />}
    </Part>
  );
}

function Traces({ mesh: { traces } }: { mesh: Mesh }) {
  const t = useText();
  const health = traces.reachable ? (traces.services > 0 ? "healthy" : "idle") : "failure";
  return (
    <Part title={t("traceStore")} health={health} told={t(!traces.reachable ? "notAnswering" : traces.services > 0 ? "reachable" : "noSpans")}>
      <dl className="facts">
        <Row name={t("address")}>
          <code>{traces.url === "" ? "–" : traces.url}</code>
        </Row>
        {traces.reachable ? <Row name={t("services")}>{traces.services}</Row> : <Row name={t("reason")}>{traces.error}</Row>}
      </dl>
      {traces.reachable && traces.services === 0 && <p className="soft">{t("noSpansHint")}</p>}
    </Part>
  );
}

/** `86400s` and `15d` alike. */
function retentionText(text: string, t: Translate): string {
  const found = /^(\d+)([smhdwy])$/.exec(text);
  const seconds = Number(found?.[1]) * ({ s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 }[found?.[2] ?? ""] ?? Number.NaN);
  return Number.isFinite(seconds) ? durationText(seconds, t) : text === "" ? "–" : text;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function Proxies({ proxies }: { proxies: Proxy[] }) {
  const t = useText();
  const [parameters, set] = useParameters();
  const [search, state, sort] = [parameters.get("q") ?? "", parameters.get("state") ?? "", parameters.get("sort") ?? "state"];
  const words = search.toLowerCase();
  const shown = proxies.filter((proxy) => (state === "" || proxy.state === state) && `${proxy.pod} ${proxy.namespace} ${proxy.version} ${proxy.replica}`.toLowerCase().includes(words));
  const columns = useProxyColumns(proxies);
  return (
    <section>
      <div className="section-head">
        <h2>
          {t("proxies")} <span className="pill">{proxies.length}</span>
        </h2>
        <p className="soft">
          {STATES.map((one) => ({ one, count: proxies.filter((proxy) => proxy.state === one).length }))
            .filter(({ count }) => count > 0)
            .map(({ one, count }) => `${count} ${t(`proxy.${one}`)}`)
            .join(" · ")}
        </p>
        <div className="list-tools">
          <label className="find">
            <Icon name="search" size={16} />
            <span className="hidden">{t("filter")}</span>
            <input type="search" value={search} placeholder={t("filter")} onChange={(event) => set("q", event.target.value)} />
          </label>
          <Choice label={t("proxyConfig")} value={state} none="" options={STATES.map((one) => ({ value: one, text: t(`proxy.${one}`) }))} onChange={(value) => set("state", value)} />
        </div>
      </div>
      {proxies.length === 0 ? (
        <p className="page-note">{t("noProxies")}</p>
      ) : shown.length === 0 ? (
        <p className="page-note">{t("nothingFits")}</p>
      ) : (
        <div className="table-frame" tabIndex={0} role="region" aria-label={t("proxies")}>
          <SortTable label={t("proxies")} items={shown} columns={columns} rowKey={(proxy) => `${proxy.namespace}/${proxy.pod}`} sort={sort} onSort={(value) => set("sort", value)} />
        </div>
      )}
    </section>
  );
}

function useProxyColumns(proxies: readonly Proxy[]): Column<Proxy>[] {
  const t = useText();
  const newest = useMemo(() => proxies.map((proxy) => proxy.version).sort((one, other) => one.localeCompare(other, undefined, { numeric: true })).at(-1) ?? "", [proxies]);
  return [
    { key: "state", label: t("proxyConfig"), value: (proxy) => STATES.indexOf(proxy.state), cell: (proxy) => <ProxyState proxy={proxy} /> },
    {
      key: "config",
      label: t("config"),
      cell: (proxy) =>
        proxy.state === "never" || proxy.state === "unknown" ? (
          <span className="soft">–</span>
        ) : (
          <Link to={proxyAddress(proxy.namespace, proxy.pod)} aria-label={`${t("proxyShow")}: ${proxy.pod}`}>
            {t("proxyShow")}
          </Link>
        ),
    },
    {
      key: "pod",
      label: t("pod"),
      value: (proxy) => proxy.pod,
      cell: (proxy) => (proxy.workload === "" ? proxy.pod : <Link to={`${detailsAddress("workload", proxy.namespace, proxy.workload)}?tab=pods`}>{proxy.pod}</Link>),
    },
    { key: "namespace", label: t("namespace"), value: (proxy) => proxy.namespace, cell: (proxy) => proxy.namespace },
    {
      key: "version",
      label: t("version"),
      value: (proxy) => proxy.version,
      cell: (proxy) =>
        proxy.version === "" || proxy.version === newest ? (
          proxy.version
        ) : (
          <span className="with-icon finding-mark" title={t("olderProxy", { version: newest })}>
            <Icon name="warning" size={15} /> {proxy.version}
          </span>
        ),
    },
    { key: "replica", label: t("replica"), value: (proxy) => proxy.replica, cell: (proxy) => <span className="soft">{proxy.replica === "" ? "–" : proxy.replica}</span> },
    { key: "certificate", label: t("certificate"), value: (proxy) => proxy.certificate?.expires, cell: (proxy) => <CertificateCell certificate={proxy.certificate} /> },
  ];
}
