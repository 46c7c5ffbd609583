import type { HealthStatus } from "../../api/client";
import { useText } from "../../app/language";
import { HealthLabel } from "../../shared/health";
import { Icon } from "../../shared/icons";

const STATUSES: readonly HealthStatus[] = ["healthy", "degraded", "failure", "notReady", "idle"];

export function Legend() {
  const t = useText();
  return (
    <details className="legend">
      <summary>{t("legend")}</summary>
      <ul>
        {STATUSES.map((status) => (
          <li key={status}>
            <HealthLabel status={status} />
          </li>
        ))}
        <li>
          <Icon name="lock" size={16} /> {t("legendLock")}
        </li>
        <li>
          <Icon name="unlock" size={16} /> {t("legendPlain")}
        </li>
        <li>
          <Icon name="pin" size={16} /> {t("legendPin")}
        </li>
      </ul>
    </details>
  );
}
