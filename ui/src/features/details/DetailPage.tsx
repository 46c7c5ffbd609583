/** One app, workload or service from close by. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, useParams } from "react-router";
import { fetchDetails, type SubjectDetails, type SubjectKind } from "../../api/pages";
import { untilAnswered } from "../../api/queries";
import { useText } from "../../app/language";
import "../../app/pages.css";
import { Icon } from "../../shared/icons";
import { DataState, Freshness } from "../../shared/states";
import { HealthButton, HealthScopeContext } from "../health/HealthButton";
import { TimeMenu } from "../graph/TimeMenu";
import { detailsAddress, versionsAddress } from "../overview/words";
import { ConfigTab } from "./ConfigTab";
import { LogsTab } from "./LogsTab";
import { PodsTab } from "./PodsTab";
import { ProxyTab } from "./ProxyTab";
import { TracesTab } from "./TracesTab";
import { TrafficTab } from "./TrafficTab";
import { TABS, useDetailAddress, writeDetail } from "./useDetailAddress";

const LIST = { app: "apps", workload: "workloads", service: "services" } as const;

export default function DetailPage({ kind }: { kind: SubjectKind }) {
  const t = useText();
  const { namespace = "", name = "" } = useParams();
  const [address, change] = useDetailAddress();
  const { at, durationSeconds, tab } = address;
  const { data, error, dataUpdatedAt, isFetching } = useQuery({
    queryKey: ["details", kind, namespace, name, at, durationSeconds],
    queryFn: ({ signal }) => fetchDetails(kind, namespace, name, { at, durationSeconds }, signal),
    refetchInterval: at === null ? 5000 : untilAnswered,
    placeholderData: (before, query) => (query?.queryKey[2] === namespace && query.queryKey[3] === name ? keepPreviousData(before) : undefined),
  });
  useEffect(() => {
    document.title = `${name} · Kaiki`;
  }, [name]);
  const versioned = data === undefined ? null : versionsOf(data);
  return (
    <HealthScopeContext value={{ at: data?.timestamp ?? at, durationSeconds, graphType: kind }}>
    <div className="list-page">
      <header className="list-head detail-head">
        <div className="detail-title">
          <p className="soft">
            <Link to={`/${LIST[kind]}`}>{t(LIST[kind])}</Link> / <Link to={`/${LIST[kind]}?namespace=${encodeURIComponent(namespace)}`}>{namespace}</Link>
          </p>
          <h1>
            {name} {data !== undefined && kind === "workload" && data.workloads[0]?.version !== undefined && data.workloads[0].version !== "" && <span className="pill">{data.workloads[0].version}</span>}{" "}
            {data?.node !== undefined && data.node !== null && <HealthButton status={data.node.health.status} measured={data.measured} kind="node" id={data.node.id} name={name} />}
          </h1>
        </div>
        <div className="list-tools">
          {data?.node !== undefined && data.node !== null && (
            <Link className="control" to={graphAddress(kind, data.node.id, namespace, at)}>
              <Icon name="graph" size={15} /> {t("inGraph")}
            </Link>
          )}
          {versioned !== null && (
            <Link className="control" to={versionsAddress(namespace, versioned.app, versioned.version, at)}>
              <Icon name="split" size={15} /> {t("compareVersions")}
            </Link>
          )}
          <TimeMenu address={address} change={(changed) => change({ ...changed, compareSeconds: null })} comparing={false} />
          <Freshness at={at} updatedAt={dataUpdatedAt} fetching={isFetching} back={() => change({ at: null })} />
        </div>
      </header>
      <nav className="tabs tabs-bar" aria-label={name}>
        {TABS.map((item) => (
          <Link key={item} className="tab" aria-current={item === tab ? "page" : undefined} to={{ search: writeDetail({ ...address, tab: item, search: "" }).toString() }}>
            {t(`tab.${item}`)} {data !== undefined && <Count tab={item} data={data} />}
          </Link>
        ))}
      </nav>
      <DataState data={data} error={error} updatedAt={dataUpdatedAt} back={{ to: `/${LIST[kind]}`, text: t(LIST[kind]) }} />
      {data !== undefined && (
        <div className="details">
          <Relations data={data} />
          {at !== null && (tab === "pods" || tab === "proxy" || tab === "config" || tab === "logs") && <p className="notice">{t("asNow")}</p>}
          {tab === "traffic" && <TrafficTab data={data} address={address} />}
          {tab === "pods" && <PodsTab data={data} />}
          {tab === "proxy" && <ProxyTab data={data} address={address} change={change} />}
          {tab === "config" && <ConfigTab data={data} />}
          {tab === "logs" && <LogsTab data={data} address={address} change={change} />}
          {tab === "traces" && <TracesTab data={data} address={address} change={change} />}
        </div>
      )}
    </div>
    </HealthScopeContext>
  );
}

/** The app whose versions can be compared: one app with versions that differ, or with this workload's and others. */
function versionsOf({ kind, workloads }: SubjectDetails): { app: string; version: string } | null {
  const [apps, versions] = [new Set(workloads.map((one) => one.app)), new Set(workloads.map((one) => one.version))];
  const [app = "", version = ""] = [[...apps][0], [...versions][0]];
  if (apps.size !== 1 || app === "" || version === "") return null;
  if (kind === "workload") return { app, version };
  return versions.size > 1 ? { app, version: "" } : null;
}

const graphAddress = (kind: SubjectKind, node: string, namespace: string, at: number | null) =>
  `/graph?${new URLSearchParams({ type: kind, idle: "true", namespaces: namespace, ...(at === null ? {} : { at: String(at) }), node }).toString()}`;

function Count({ tab, data }: { tab: string; data: SubjectDetails }) {
  const t = useText();
  if (tab === "pods") return <span className="pill">{data.pods.length}</span>;
  const findings = data.configs.reduce((sum, item) => sum + item.findings.length, 0);
  if (tab !== "config") return null;
  return findings > 0 ? (
    <span className="pill pill-bad" title={t("findings")}>
      <Icon name="warning" size={12} /> {findings}
    </span>
  ) : (
    <span className="pill">{data.configs.length}</span>
  );
}

/** What it is made of, and what it belongs to. */
function Relations({ data: { kind, workloads, services } }: { data: SubjectDetails }) {
  const t = useText();
  const apps = [...new Set(workloads.map((one) => `${one.namespace}/${one.app === "" ? one.name : one.app}`))];
  return (
    <dl className="relations">
      {kind !== "app" && apps.length > 0 && (
        <div>
          <dt>{t("app")}</dt>
          <dd>
            {apps.map((app) => (
              <Link key={app} to={detailsAddress("app", ...split(app))}>
                {split(app)[1]}
              </Link>
            ))}
          </dd>
        </div>
      )}
      {kind !== "workload" && (
        <div>
          <dt>{t("workloads")}</dt>
          <dd>
            {workloads.length === 0 && <span className="finding-mark">{t("noWorkloads")}</span>}
            {workloads.map((one) => (
              <Link key={one.name} to={detailsAddress("workload", one.namespace, one.name)}>
                {one.name}
              </Link>
            ))}
          </dd>
        </div>
      )}
      {services.length > 0 && (
        <div>
          <dt>{t(kind === "service" ? "address" : "services")}</dt>
          <dd>
            {services.map((one) => (
              <span key={one.name}>
                {kind === "service" ? one.type : <Link to={detailsAddress("service", one.namespace, one.name)}>{one.name}</Link>}{" "}
                <code>
                  {one.address} {one.ports.map((port) => `${port.name === "" ? "" : `${port.name}:`}${port.number}`).join(", ")}
                </code>
              </span>
            ))}
          </dd>
        </div>
      )}
    </dl>
  );
}

function split(place: string): [string, string] {
  const [namespace = "", name = ""] = place.split("/");
  return [namespace, name];
}
