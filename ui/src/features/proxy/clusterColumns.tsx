/** The columns of clusters and endpoints. */
import { Link } from "react-router";
import type { ClusterRow, EndpointRow } from "../../api/pages";
import { useText } from "../../app/language";
import { formatNumber } from "../../domain/format";
import { HealthMark } from "../../shared/health";
import type { Column } from "../../shared/SortTable";
import { OriginCell, ResourceState, TlsCell } from "./cells";
import type { GoTo } from "./ProxyConfig";

const sorted = () => 0;

export function useClusterColumns(goTo: GoTo): Column<ClusterRow>[] {
  const t = useText();
  return [
    { key: "name", label: t("part.clusters"), value: sorted, cell: (row) => <code>{row.name}</code> },
    {
      key: "type",
      label: t("clusterType"),
      value: sorted,
      cell: (row) => (
        <>
          {row.type}
          <span className="soft small block">
            {row.balancing} · {t("connectTimeout", { seconds: formatNumber(row.connectSeconds) })}
          </span>
        </>
      ),
    },
    {
      key: "endpoints",
      label: t("part.endpoints"),
      value: sorted,
      number: true,
      cell: (row) =>
        row.endpoints === null ? (
          <span className="soft">{t("knownToEnvoy")}</span>
        ) : row.type === "EDS" ? (
          <Link className={row.healthyEndpoints === 0 ? "bad" : undefined} to={goTo("endpoints", row.name)}>
            {t("ofMany", { count: row.healthyEndpoints ?? 0, all: row.endpoints })}
          </Link>
        ) : (
          t("ofMany", { count: row.healthyEndpoints ?? 0, all: row.endpoints })
        ),
    },
    { key: "tls", label: "TLS", value: sorted, cell: (row) => <TlsCell tls={row.tls} /> },
    { key: "limits", label: t("circuitBreakers"), value: sorted, cell: (row) => <Limits row={row} /> },
    { key: "origin", label: t("madeFrom"), value: sorted, cell: (row) => <OriginCell origins={row.origins} count={row.originCount} /> },
    { key: "state", label: t("resourceState"), value: sorted, cell: (row) => <ResourceState state={row.state} /> },
  ];
}

function Limits({ row: { limits, ejection } }: { row: ClusterRow }) {
  const t = useText();
  const names = ["connections", "pendingRequests", "requests", "retries"] as const;
  const set = names.filter((name) => limits[name] !== null);
  return (
    <>
      {set.length === 0 ? <span className="soft">{t("noLimit")}</span> : set.map((name) => `${t(`limit.${name}`)} ${limits[name]}`).join(" · ")}
      {ejection !== null && <span className="soft small block">{t("ejects", { errors: ejection.errors, seconds: formatNumber(ejection.baseSeconds), percent: ejection.mostPercent })}</span>}
    </>
  );
}

export function useEndpointColumns(goTo: GoTo): Column<EndpointRow>[] {
  const t = useText();
  return [
    { key: "address", label: t("address"), value: sorted, cell: (row) => <code>{row.address}</code> },
    {
      key: "health",
      label: t("endpointHealth"),
      value: sorted,
      cell: (row) => {
        const shape = row.health === "HEALTHY" || row.health === "UNKNOWN" ? "healthy" : "failure";
        return (
          <span className={`health health-${shape}`}>
            <HealthMark status={shape} />
            {row.health}
          </span>
        );
      },
    },
    {
      key: "cluster",
      label: t("part.clusters"),
      value: sorted,
      cell: (row) => (
        <Link to={goTo("clusters", row.cluster)}>
          <code>{row.cluster}</code>
        </Link>
      ),
    },
    { key: "weight", label: t("weight"), value: sorted, number: true, cell: (row) => row.weight },
    { key: "locality", label: t("localityPriority"), value: sorted, cell: (row) => `${row.locality === "" ? "–" : row.locality}, ${row.priority}` },
    { key: "tls", label: "TLS", cell: (row) => (row.mutualTls ? t("sidecarTls") : <span className="soft">–</span>) },
    { key: "origin", label: t("madeFrom"), value: sorted, cell: (row) => <OriginCell origins={row.origins} count={row.originCount} /> },
    { key: "state", label: t("resourceState"), value: sorted, cell: (row) => <ResourceState state={row.state} /> },
  ];
}
