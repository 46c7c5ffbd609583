import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { fetchWorkloads, type HealthStatus, type Workload } from "../../api/client";
import { useText } from "../../app/language";
import { HealthLabel } from "../../shared/health";
import { Icon } from "../../shared/icons";
import { ListPage } from "../../shared/ListPage";

export default function WorkloadsPage() {
  const t = useText();
  const query = useQuery({ queryKey: ["workloads"], queryFn: ({ signal }) => fetchWorkloads(signal), refetchInterval: 5000 });
  return (
    <ListPage
      title={t("workloads")}
      items={query.data?.items}
      error={query.error}
      columns={[t("health"), t("name"), t("namespace"), t("app"), t("version"), t("kind"), t("replicas"), t("sidecar")]}
      searchText={(item) => `${item.name} ${item.namespace} ${item.kind}`}
      row={(item) => (
        <tr key={`${item.namespace}/${item.name}`}>
          <td>
            <HealthLabel status={readiness(item)} />
          </td>
          <td>
            <Link to={`/workloads/${encodeURIComponent(item.namespace)}/${encodeURIComponent(item.name)}`}>{item.name}</Link>
          </td>
          <td>{item.namespace}</td>
          <td>{item.app}</td>
          <td>{item.version !== "" && <span className="pill">{item.version}</span>}</td>
          <td>{item.gateway ? t("kind.gateway") : item.kind}</td>
          <td>
            {item.availableReplicas}/{item.desiredReplicas}
          </td>
          <td>
            {item.infrastructure && !item.gateway ? (
              <span className="soft">–</span>
            ) : item.sidecar || item.gateway ? (
              <span className="with-icon">
                <Icon name="lock" size={15} /> {t("yes")}
              </span>
            ) : (
              <span className="with-icon soft">
                <Icon name="bare" size={15} /> {t("no")}
              </span>
            )}
          </td>
        </tr>
      )}
    />
  );
}

/** By replicas alone: this list knows no traffic. */
function readiness(item: Workload): HealthStatus {
  if (item.desiredReplicas === 0) return "notReady";
  if (item.availableReplicas === 0) return "failure";
  return item.availableReplicas < item.desiredReplicas ? "degraded" : "healthy";
}
