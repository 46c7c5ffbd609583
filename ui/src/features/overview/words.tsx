/** Cells and chips that lists share. */
import { Link } from "react-router";
import type { ListKind, Rates, Summary } from "../../api/pages";
import { useText } from "../../app/language";
import { formatBytes, formatMilliseconds, formatShare } from "../../domain/format";
import { HealthLabel } from "../../shared/health";
import { Icon } from "../../shared/icons";
import { rateText } from "../graph/words";
import { HealthButton } from "../health/HealthButton";

export const detailsAddress = (kind: string, namespace: string, name: string) =>
  `/${kind === "service" ? "services" : kind === "app" ? "apps" : "workloads"}/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;

/** Two versions of an app side by side; without one the console chooses. */
export const versionsAddress = (namespace: string, app: string, version = "", at: number | null = null) =>
  `${detailsAddress("app", namespace, app)}/versions?${new URLSearchParams({ ...(version === "" ? {} : { version }), ...(at === null ? {} : { at: String(at) }) }).toString()}`;

/** Requests, or bytes where there is only TCP. */
export function RateCell({ rates }: { rates: Rates | null }) {
  const t = useText();
  if (rates === null) return <span className="soft">–</span>;
  if (rates.requestsPerSecond === 0 && rates.bytesPerSecond > 0) return <span className="tcp">{formatBytes(rates.bytesPerSecond) + t("perSecond")}</span>;
  return rates.requestsPerSecond === 0 ? <span className="soft">–</span> : <>{rateText(rates.requestsPerSecond, t)}</>;
}

export function ErrorCell({ rates }: { rates: Rates | null }) {
  const share = rates?.errorRatio ?? null;
  return <span className={share === null ? "soft" : share > 0 ? "bad" : undefined}>{formatShare(share)}</span>;
}

/** A namespace is as its worst app: that is where the reasons are. */
export function HealthCell({ item, by, measured }: { item: Summary; by: ListKind; measured: boolean }) {
  if (by !== "namespace") return <HealthButton status={item.health.status} measured={measured} kind="node" id={item.id} name={item.name} />;
  const worst = measured && item.health.status !== "idle" ? `&health=${item.health.status}` : "";
  return (
    <Link className="health-link" to={`/apps?namespace=${encodeURIComponent(item.name)}${worst}`}>
      <HealthLabel status={item.health.status} measured={measured} />
    </Link>
  );
}

export function LatencyCell({ value }: { value: number | null | undefined }) {
  return <span className={value === null || value === undefined ? "soft" : undefined}>{formatMilliseconds(value)}</span>;
}

export function FindingCell({ item, by }: { item: Summary; by: ListKind }) {
  const t = useText();
  const { errors, warnings } = item.findings;
  if (errors + warnings === 0) return <span className="soft">–</span>;
  const text = [errors > 0 ? t(errors === 1 ? "errorOne" : "errorCount", { count: errors }) : "", warnings > 0 ? t(warnings === 1 ? "warningOne" : "warningCount", { count: warnings }) : ""].filter((part) => part !== "").join(", ");
  const to = by === "namespace" ? `/config?namespace=${encodeURIComponent(item.name)}&findings=true` : `${detailsAddress(by, item.namespace, item.name)}?tab=config`;
  return (
    <Link className={`with-icon finding-link ${errors > 0 ? "bad" : "finding-mark"}`} to={to}>
      <Icon name="warning" size={15} /> {text}
    </Link>
  );
}

/** Injection: of how many workloads all pods have a proxy. */
export function InjectionCell({ item }: { item: Summary }) {
  const t = useText();
  if (item.kind === "gateway") return <span className="soft">{t("kind.gateway")}</span>;
  if (item.expectedSidecars === 0) return <span className="soft">–</span>;
  const whole = item.sidecars === item.expectedSidecars;
  return (
    <span className={`with-icon${whole ? "" : " finding-mark"}`}>
      <Icon name={whole ? "lock" : "bare"} size={15} />
      {item.expectedSidecars === 1 ? t(whole ? "yes" : "no") : t("ofMany", { count: item.sidecars, all: item.expectedSidecars })}
    </span>
  );
}

export function MutualTlsCell({ item }: { item: Summary }) {
  const t = useText();
  const ratio = item.inbound?.mtlsRatio ?? null;
  const measured = ratio === null ? "" : formatShare(ratio);
  const [safe, open] = [ratio === 1 || (ratio === null && item.mtlsMode === "STRICT"), (ratio !== null && ratio < 1) || item.mtlsMode === "DISABLE"];
  return (
    <span className={`with-icon${open ? " finding-mark" : ""}`} title={t("mtlsMeasured")}>
      {(safe || open) && <Icon name={open ? "unlock" : "lock"} size={15} />}
      {[item.mtlsMode ?? "", measured].filter((part) => part !== "").join(" · ")}
    </span>
  );
}
