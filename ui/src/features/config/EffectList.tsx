/** Which proxies, routes and clusters a change would touch. */
import { Link } from "react-router";
import type { Effect } from "../../api/client";
import { useText } from "../../app/language";

export function EffectList({ effect, stale }: { effect: Effect; stale: boolean }) {
  const t = useText();
  if (effect.proxies === 0) return <p role="status">{t("effectNone")}</p>;
  const hosts = [...new Set(effect.resources.flatMap((item) => item.hosts))];
  return (
    <div className={stale ? "effect stale-effect" : "effect"} role="status">
      {stale && <p className="soft">{t("effectStale")}</p>}
      <p>
        <strong>{t("effectProxies", { count: effect.proxies, all: effect.allProxies })}</strong>
      </p>
      <ul className="chips">
        {effect.workloads.map((item) => (
          <li key={`${item.namespace}/${item.name}`}>
            <Link className="pill" to={`/workloads/${encodeURIComponent(item.namespace)}/${encodeURIComponent(item.name)}`}>
              {item.name}
            </Link>
          </li>
        ))}
      </ul>
      {hosts.length > 0 && (
        <>
          <h4>{t("effectHosts")}</h4>
          <ul className="plain">
            {hosts.map((host) => (
              <li key={host}>
                <code>{host}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      <h4>{t("effectResources")}</h4>
      <ul className="plain">
        {effect.resources.map((item) => (
          <li key={`${item.type} ${item.name} ${item.change}`}>
            <span className={`change change-${item.change === "removed" ? "gone" : "new"}`}>{t(`effect.${item.change}`)}</span> {item.type} <code>{item.name}</code>
          </li>
        ))}
      </ul>
      {effect.truncated && <p className="soft">{t("effectTruncated")}</p>}
    </div>
  );
}
