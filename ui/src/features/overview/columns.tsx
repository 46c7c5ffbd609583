/** The columns of each list. */
import { useMemo } from "react";
import { Link } from "react-router";
import type { ListKind, Summary } from "../../api/pages";
import { useText, type Translate } from "../../app/language";
import { severity } from "../../domain/list";
import type { Column } from "../../shared/SortTable";
import { detailsAddress, ErrorCell, FindingCell, HealthCell, InjectionCell, LatencyCell, MutualTlsCell, RateCell } from "./words";

export function useColumns(by: ListKind, measured: boolean): Column<Summary>[] {
  const t = useText();
  return useMemo(() => columnsOf(by, measured, t), [by, measured, t]);
}

function columnsOf(by: ListKind, measured: boolean, t: Translate): Column<Summary>[] {
  const health: Column<Summary> = { key: "health", label: t("health"), value: severity, number: false, cell: (item) => <HealthCell item={item} by={by} measured={measured} /> };
  const name: Column<Summary> = {
    key: "name",
    label: t("name"),
    value: (item) => item.name,
    cell: (item) => (
      <>
        <Link to={by === "namespace" ? `/workloads?namespace=${encodeURIComponent(item.name)}` : detailsAddress(by, item.namespace, item.name)}>{item.name}</Link>{" "}
        {item.version !== undefined && item.version !== "" && <span className="pill">{item.version}</span>}
      </>
    ),
  };
  const namespace: Column<Summary> = { key: "namespace", label: t("namespace"), value: (item) => item.namespace, cell: (item) => item.namespace };
  const traffic: Column<Summary>[] = [
    { key: "rate", label: t("inbound"), number: true, value: (item) => rate(item), cell: (item) => <RateCell rates={item.inbound} /> },
    { key: "errors", label: t("errors"), number: true, value: (item) => item.inbound?.errorRatio, cell: (item) => <ErrorCell rates={item.inbound} /> },
    { key: "p50", label: "p50", number: true, value: (item) => item.inbound?.p50Milliseconds, cell: (item) => <LatencyCell value={item.inbound?.p50Milliseconds} /> },
    { key: "p95", label: "p95", number: true, value: (item) => item.inbound?.p95Milliseconds, cell: (item) => <LatencyCell value={item.inbound?.p95Milliseconds} /> },
    { key: "out", label: t("outbound"), number: true, value: (item) => item.outbound?.requestsPerSecond, cell: (item) => <RateCell rates={item.outbound} /> },
  ];
  const replicas: Column<Summary> = {
    key: "replicas",
    label: t("replicas"),
    number: true,
    value: (item) => item.desiredReplicas,
    cell: (item) => (
      <span className={item.availableReplicas < item.desiredReplicas ? "bad" : undefined}>
        {item.availableReplicas}/{item.desiredReplicas}
      </span>
    ),
  };
  const sidecars: Column<Summary> = {
    key: "sidecar",
    label: t("sidecar"),
    value: (item) => (item.expectedSidecars === 0 ? null : item.sidecars / item.expectedSidecars),
    cell: (item) => <InjectionCell item={item} />,
  };
  const findings: Column<Summary> = {
    key: "findings",
    label: t("findings"),
    value: (item) => item.findings.errors * 1000 + item.findings.warnings,
    cell: (item) => <FindingCell item={item} by={by} />,
  };
  switch (by) {
    case "namespace":
      return [
        health,
        name,
        ...traffic.slice(0, 4),
        { key: "injection", label: t("injection"), value: (item) => item.injection, cell: (item) => injectionText(item, t) },
        sidecars,
        { key: "mtls", label: t("mtls"), value: (item) => item.mtlsMode, cell: (item) => <MutualTlsCell item={item} /> },
        findings,
      ];
    case "service":
      return [health, name, namespace, ...traffic.slice(0, 4), { key: "workloads", label: t("workloads"), number: true, value: (item) => item.workloads.length, cell: (item) => item.workloads.length }, findings];
    default:
      return [health, name, namespace, ...traffic, replicas, sidecars, findings];
  }
}

export function injectionText(item: Summary, t: Translate): string {
  if (item.injection === "enabled") return t("injection.enabled");
  if (item.injection === "disabled") return t("injection.disabled");
  return item.injection === undefined || item.injection === "" ? t("injection.none") : t("injection.revision", { name: item.injection });
}

/** TCP has no requests: its bytes count as far less than any request, so that it sorts after them. */
const rate = (item: Summary) => (item.inbound === null ? null : item.inbound.requestsPerSecond + item.inbound.bytesPerSecond / 1e12);
