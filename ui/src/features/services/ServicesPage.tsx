import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { fetchServices } from "../../api/client";
import { useText } from "../../app/language";
import { ListPage } from "../../shared/ListPage";

export default function ServicesPage() {
  const t = useText();
  const query = useQuery({ queryKey: ["services"], queryFn: ({ signal }) => fetchServices(signal), refetchInterval: 5000 });
  return (
    <ListPage
      title={t("services")}
      items={query.data?.items}
      error={query.error}
      columns={[t("name"), t("namespace"), t("kind"), t("address"), t("ports"), t("workloads")]}
      searchText={(item) => `${item.name} ${item.namespace} ${item.workloads.join(" ")}`}
      row={(item) => (
        <tr key={`${item.namespace}/${item.name}`}>
          <td>
            <Link to={`/graph?type=service&idle=true&node=${encodeURIComponent(`service:${item.namespace}/${item.name}`)}`} title={t("inGraph")}>
              {item.name}
            </Link>
          </td>
          <td>{item.namespace}</td>
          <td>{item.type}</td>
          <td>
            <code>{item.address}</code>
          </td>
          <td>{item.ports.map((port) => `${port.name === "" ? "" : `${port.name} `}${port.number}`).join(", ")}</td>
          <td>{item.workloads.join(", ")}</td>
        </tr>
      )}
    />
  );
}
