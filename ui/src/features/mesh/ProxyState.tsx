/** Whether a proxy has the newest configuration, by shape and word; and what it refuses or last refused. */
import type { Proxy } from "../../api/pages";
import type { HealthStatus } from "../../api/client";
import { useLanguage } from "../../app/language";
import { formatMoment } from "../../domain/format";
import { HealthMark } from "../../shared/health";

const SHAPES: Record<Proxy["state"], HealthStatus> = { synced: "healthy", stale: "degraded", rejecting: "failure", never: "notReady", unknown: "idle" };

export function ProxyState({ proxy }: { proxy: Proxy }) {
  const { t, language } = useLanguage();
  const shown = proxy.rejected.length > 0 ? proxy.rejected : proxy.lastRejection === null ? [] : [proxy.lastRejection];
  return (
    <div className="proxy-state">
      <span className={`health health-${SHAPES[proxy.state]}`}>
        <HealthMark status={SHAPES[proxy.state]} />
        {t(`proxy.${proxy.state}`)}
      </span>
      {shown.map((item) => (
        <p key={item.type + item.name} className="rejection">
          {proxy.rejected.length === 0 && (
            <span className="soft">
              {t("lastRejection")} {item.at !== undefined && item.at !== "" && <time dateTime={item.at}>{formatMoment(item.at, language)}</time>}{" "}
            </span>
          )}
          <code>
            {item.type} {item.name}
          </code>{" "}
          {item.reason}
        </p>
      ))}
    </div>
  );
}
