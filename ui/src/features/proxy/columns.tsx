/** The columns of listeners, routes and certificates. */
import { Link } from "react-router";
import type { ChainRow, ListenerRow, RouteRow, SecretRow } from "../../api/pages";
import { useLanguage, useText } from "../../app/language";
import type { TextKey } from "../../app/texts";
import { formatDay, formatMoment, formatNumber } from "../../domain/format";
import type { Column } from "../../shared/SortTable";
import { Conditions, OriginCell, ResourceState, Targets, TlsCell } from "./cells";
import type { GoTo } from "./ProxyConfig";

/** More filter chains than these are opened on request: an inbound listener has some for each port. */
const SHOWN_CHAINS = 4;
const SOON_DAYS = 1 / 24;
/** Columns that sort need a value to say so; the server does the sorting. */
const sorted = () => 0;

export function useListenerColumns(goTo: GoTo, sidecar: boolean): Column<ListenerRow>[] {
  const t = useText();
  return [
    {
      key: "port",
      label: t("part.listeners"),
      value: sorted,
      cell: (row) => (
        <>
          <code>{row.port === 0 ? row.address : `${row.address}:${row.port}`}</code>
          <span className="soft small block">
            {row.name === `${row.address}_${row.port}` ? "" : row.name} {sidecar && row.direction !== "" && t(row.direction as TextKey)}
          </span>
        </>
      ),
    },
    { key: "chains", label: t("chainsTaken"), value: sorted, cell: (row) => <Chains chains={row.chains} goTo={goTo} /> },
    { key: "origin", label: t("madeFrom"), value: sorted, cell: (row) => <OriginCell origins={row.origins} count={row.originCount} /> },
    { key: "state", label: t("resourceState"), value: sorted, cell: (row) => <ResourceState state={row.state} /> },
  ];
}

function Chains({ chains, goTo }: { chains: readonly ChainRow[]; goTo: GoTo }) {
  const t = useText();
  const [shown, rest] = [chains.slice(0, SHOWN_CHAINS), chains.slice(SHOWN_CHAINS)];
  const list = (items: readonly ChainRow[]) => (
    <ul className="plain chains">
      {items.map((chain, index) => (
        <li key={index}>
          <Chain chain={chain} goTo={goTo} />
        </li>
      ))}
    </ul>
  );
  return (
    <>
      {list(shown)}
      {rest.length > 0 && (
        <details>
          <summary>{t("proxyMore", { count: rest.length })}</summary>
          {list(rest)}
        </details>
      )}
    </>
  );
}

function Chain({ chain, goTo }: { chain: ChainRow; goTo: GoTo }) {
  const t = useText();
  return (
    <>
      <Conditions conditions={chain.matches} none={t("anyConnection")} /> <span aria-hidden="true">→ </span>
      {chain.leads === "nothing" && <span className="soft">{t("leadsNothing")}</span>}
      {chain.leads === "routes" && (chain.targets.length > 0 ? <span className="soft">{t("inlineRoutes")} </span> : <Link to={goTo("routes", chain.table)}>{t("leadsRoutes", { table: chain.table })}</Link>)}
      <Targets targets={chain.targets} goTo={goTo} />
      <span className="soft small block">
        {chain.tls.mode !== "none" && (
          <>
            <TlsCell tls={chain.tls} short /> ·{" "}
          </>
        )}
        {t("filtersOf")}: {chain.filters.join(", ")}
      </span>
    </>
  );
}

export function useRouteColumns(goTo: GoTo): Column<RouteRow>[] {
  const t = useText();
  return [
    {
      key: "domains",
      label: t("domains"),
      value: sorted,
      cell: (row) => (
        <span title={row.domains.join("\n")}>
          {row.domains[0]} {row.domains.length > 1 && <span className="soft">{t("proxyMore", { count: row.domains.length - 1 })}</span>}
        </span>
      ),
    },
    { key: "table", label: t("explainPart.route table"), value: sorted, cell: (row) => <code title={`${row.virtualHost} ${row.name}`}>{row.table}</code> },
    { key: "matches", label: t("requestFits"), cell: (row) => <Conditions conditions={row.matches.filter((one) => one.kind !== "prefix" || one.value !== "/")} none={t("anyRequest")} /> },
    {
      key: "target",
      label: t("goesTo"),
      value: sorted,
      cell: (row) => (
        <>
          {row.does !== "forward" && t(`does.${row.does}` as TextKey, { says: row.says })}
          <Targets targets={row.targets} goTo={goTo} />
          <Targets targets={row.mirrors} goTo={goTo} note={t("mirrored")} />
          {row.features.map((feature) => (
            <span key={feature} className="pill">
              {t(`feature.${feature}` as TextKey)}
            </span>
          ))}
        </>
      ),
    },
    {
      key: "timeout",
      label: t("routeTimeout"),
      value: sorted,
      number: true,
      cell: (row) => (row.timeoutSeconds === null ? <span className="soft">–</span> : row.timeoutSeconds === 0 ? <span className="soft">{t("noLimit")}</span> : `${formatNumber(row.timeoutSeconds)} s`),
    },
    {
      key: "retries",
      label: t("routeRetries"),
      value: sorted,
      cell: (row) =>
        row.retries === null || row.retries.count === 0 ? (
          <span className="soft">–</span>
        ) : (
          <span title={row.retries.conditions}>
            {t("retriesShort", { count: row.retries.count })} {row.retries.trySeconds !== null && <span className="soft">{t("retryEach", { seconds: formatNumber(row.retries.trySeconds) })}</span>}
          </span>
        ),
    },
    { key: "origin", label: t("madeFrom"), value: sorted, cell: (row) => <OriginCell origins={row.origins} count={row.originCount} /> },
    { key: "state", label: t("resourceState"), value: sorted, cell: (row) => <ResourceState state={row.state} /> },
  ];
}

export function useSecretColumns(): Column<SecretRow>[] {
  const { t, language } = useLanguage();
  return [
    {
      key: "name",
      label: t("name"),
      value: sorted,
      cell: (row) => (
        <>
          <code>{row.name}</code>
          <span className="soft small block">{t(`secretKind.${row.kind}` as TextKey)}</span>
        </>
      ),
    },
    {
      key: "names",
      label: t("certificateFor"),
      cell: (row) => (
        <>
          {row.names.map((name) => (
            <code key={name} className="block">
              {name}
            </code>
          ))}
          <span className="soft small">{row.subject}</span>
        </>
      ),
    },
    {
      key: "issuer",
      label: t("issuer"),
      value: sorted,
      cell: (row) => (
        <>
          {row.issuer === "" ? <span className="soft">–</span> : row.issuer}
          {row.serial !== "" && <code className="soft small block">{row.serial}</code>}
        </>
      ),
    },
    { key: "from", label: t("validFrom"), value: sorted, cell: (row) => (row.validFrom === "" ? <span className="soft">–</span> : formatDay(row.validFrom, language)) },
    {
      key: "to",
      label: t("validTo"),
      value: sorted,
      cell: (row) => (
        <>
          {row.validTo === "" ? <span className="soft">–</span> : formatDay(row.validTo, language)}
          {row.rotates !== "" && <span className="soft small block">{t("rotatesAt", { time: formatMoment(row.rotates, language) })}</span>}
        </>
      ),
    },
    {
      key: "left",
      label: t("daysLeft"),
      value: sorted,
      number: true,
      cell: (row) =>
        row.daysLeft === null ? (
          <span className="soft">–</span>
        ) : row.daysLeft <= 0 ? (
          <span className="bad">{t("expired")}</span>
        ) : (
          <span className={row.daysLeft < SOON_DAYS ? "finding-mark" : undefined}>{row.daysLeft < 10 ? row.daysLeft.toFixed(1) : String(Math.floor(row.daysLeft))}</span>
        ),
    },
    {
      key: "origin",
      label: t("madeFrom"),
      value: sorted,
      cell: (row) => <OriginCell origins={row.origins} count={row.originCount} />,
    },
    { key: "state", label: t("resourceState"), value: sorted, cell: (row) => <ResourceState state={row.state} /> },
  ];
}
