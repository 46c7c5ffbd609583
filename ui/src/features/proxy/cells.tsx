/** What the tables of a proxy's configuration are made of: objects, conditions, targets, TLS, states. */
import { Link } from "react-router";
import type { Condition, Origin, Target, Tls } from "../../api/pages";
import { useText } from "../../app/language";
import type { TextKey } from "../../app/texts";
import { formatShare } from "../../domain/format";
import { HealthMark } from "../../shared/health";
import { originAddress } from "./origins";
import type { GoTo } from "./ProxyConfig";

export function OriginCell({ origins, count }: { origins: readonly Origin[]; count: number }) {
  const t = useText();
  if (count === 0) return <span className="soft">{t("proxyBuiltIn")}</span>;
  return (
    <ul className="plain">
      {origins.map((origin) => (
        <li key={`${origin.kind}/${origin.namespace}/${origin.name}/${origin.field}/${origin.role}`}>
          <OriginLink origin={origin} />
        </li>
      ))}
      {count > origins.length && <li className="soft">{t("proxyMore", { count: count - origins.length })}</li>}
    </ul>
  );
}

function OriginLink({ origin }: { origin: Origin }) {
  const t = useText();
  const [address, role] = [originAddress(origin), t(`role.${origin.role}` as TextKey)];
  const name = `${origin.kind} ${origin.namespace}/${origin.name}`;
  return (
    <>
      {address === null ? name : <Link to={address}>{name}</Link>} {origin.field !== "" && <code className="soft">{origin.field}</code>} {role !== "" && <span className="soft">{role}</span>}
    </>
  );
}

export function Conditions({ conditions, none }: { conditions: readonly Condition[]; none: string }) {
  const t = useText();
  if (conditions.length === 0) return <span className="soft">{none}</span>;
  return conditions.map(({ kind, value }, index) => (
    <span key={index} className="condition">
      <span className="soft">{t(`condition.${kind}` as TextKey)}</span> {value !== "" && <code>{value}</code>}
    </span>
  ));
}

export function Targets({ targets, goTo, note = "" }: { targets: readonly Target[]; goTo: GoTo; note?: string }) {
  return targets.map(({ cluster, percent }) => (
    <span key={cluster} className="condition">
      {(targets.length > 1 || percent < 100) && <span className="soft">{formatShare(percent / 100)} </span>}
      {note !== "" && <span className="soft">{note} </span>}
      <Link to={goTo("clusters", cluster)}>
        <code>{cluster}</code>
      </Link>
    </span>
  ));
}

export function TlsCell({ tls, short = false }: { tls: Tls; short?: boolean }) {
  const t = useText();
  const details = [tls.serverName === "" ? "" : `SNI ${tls.serverName}`, ...tls.certificates, tls.roots === "" ? "" : t("tlsRoots", { roots: tls.roots }), ...tls.names].filter((part) => part !== "");
  return (
    <span title={details.join("\n")}>
      {t(`tlsMode.${tls.mode}` as TextKey)}
      {!short && details.length > 0 && <span className="soft small block wrap">{details[0]}</span>}
    </span>
  );
}

const SHAPES = { acknowledged: "healthy", waiting: "degraded", refused: "failure" } as const;

export function ResourceState({ state }: { state: string }) {
  const t = useText();
  const shape = SHAPES[state as keyof typeof SHAPES] ?? "idle";
  return (
    <span className={`health health-${shape}`}>
      <HealthMark status={shape} />
      {t(`resource.${state}` as TextKey)}
    </span>
  );
}
