/** Namespaces as cards: how they are, what flows, whether they are in the mesh, what was found in their config. */
import { Link } from "react-router";
import type { Summary } from "../../api/pages";
import { useText } from "../../app/language";
import { formatMilliseconds, formatShare } from "../../domain/format";
import type { ListAddress } from "../../domain/list";
import { Icon } from "../../shared/icons";
import { injectionText } from "./columns";
import { FindingCell, HealthCell, MutualTlsCell, RateCell } from "./words";

const ORDER = ["failure", "degraded", "notReady", "healthy", "idle"] as const;

export function NamespaceCards({ items, address, measured }: { items: Summary[]; address: ListAddress; measured: boolean }) {
  return (
    <ul className="cards">
      {items.map((item) => (
        <NamespaceCard key={item.name} item={item} address={address} measured={measured} />
      ))}
    </ul>
  );
}

function NamespaceCard({ item, address, measured }: { item: Summary; address: ListAddress; measured: boolean }) {
  const t = useText();
  const name = encodeURIComponent(item.name);
  // A gateway's namespace takes in what nobody measures, from outside of the mesh: what it sends on tells more.
  const direction = (item.inbound?.requestsPerSecond ?? 0) === 0 && (item.outbound?.requestsPerSecond ?? 0) > 0 ? "outbound" : "inbound";
  const rates = item[direction];
  const time = `${address.at === null ? "" : `&at=${address.at}`}${address.durationSeconds === 60 ? "" : `&duration=${address.durationSeconds}`}`;
  return (
    <li className={`namespace-card card-${item.health.status}`}>
      <header>
        <h2>
          <Link to={`/workloads?namespace=${name}${time}`}>{item.name}</Link>
        </h2>
        <HealthCell item={item} by="namespace" measured={measured} />
      </header>
      <dl className="numbers">
        <div>
          <dt>{t(direction)}</dt>
          <dd>
            <RateCell rates={rates} />
          </dd>
        </div>
        <div className={(rates?.errorRatio ?? 0) > 0 ? "bad" : ""}>
          <dt>{t("errors")}</dt>
          <dd>{formatShare(rates?.errorRatio)}</dd>
        </div>
        <div>
          <dt>p95</dt>
          <dd>{formatMilliseconds(rates?.p95Milliseconds)}</dd>
        </div>
      </dl>
      <AppBar apps={item.apps ?? {}} measured={measured} />
      <dl className="facts">
        <div>
          <dt>{t("injection")}</dt>
          <dd className={item.expectedSidecars > item.sidecars ? "finding-mark" : undefined}>
            {injectionText(item, t)}
            {item.expectedSidecars > 0 && ` · ${t("sidecarsOf", { count: item.sidecars, all: item.expectedSidecars })}`}
          </dd>
        </div>
        <div>
          <dt>{t("mtls")}</dt>
          <dd>
            <MutualTlsCell item={item} />
          </dd>
        </div>
        <div>
          <dt>{t("config")}</dt>
          <dd>{item.findings.errors + item.findings.warnings > 0 ? <FindingCell item={item} by="namespace" /> : t(item.configs === 1 ? "objectOne" : "objectCount", { count: item.configs ?? 0 })}</dd>
        </div>
      </dl>
      <footer>
        <Link to={`/graph?namespaces=${name}&idle=true${time}`}>
          <Icon name="graph" size={15} /> {t("graph")}
        </Link>
        <Link to={`/apps?namespace=${name}${time}`}>{t("apps")}</Link>
        <Link to={`/services?namespace=${name}${time}`}>{t("services")}</Link>
        <Link to={`/config?namespace=${name}`}>{t("config")}</Link>
      </footer>
    </li>
  );
}

/** Apps by health: a bar for the eye, the same in words. */
function AppBar({ apps, measured }: { apps: Record<string, number>; measured: boolean }) {
  const t = useText();
  const found = ORDER.filter((health) => (apps[health] ?? 0) > 0);
  if (found.length === 0) return <p className="app-words soft">{t("noApps")}</p>;
  return (
    <div>
      <div className="app-bar" aria-hidden="true">
        {found.map((health) => (
          <span key={health} className={`bar-${health}`} style={{ flexGrow: apps[health] }} />
        ))}
      </div>
      <p className="app-words soft">{found.map((health) => `${apps[health]} ${t(health === "idle" && !measured ? "notMeasured" : `health.${health}`)}`).join(" · ")}</p>
    </div>
  );
}
