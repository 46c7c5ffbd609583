import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { fetchConfig, type ConfigObject } from "../../api/client";
import { useText } from "../../app/language";
import { writeYaml } from "../../domain/yaml";
import { ListPage } from "../../shared/ListPage";

const objectKey = (item: ConfigObject) => `${item.kind}.${item.apiVersion}/${item.namespace}/${item.name}`;

export default function ConfigPage() {
  const t = useText();
  const [parameters, setParameters] = useSearchParams();
  const query = useQuery({ queryKey: ["config"], queryFn: ({ signal }) => fetchConfig(signal), refetchInterval: 5000 });
  const chosen = query.data?.items.find((item) => objectKey(item) === parameters.get("object"));
  return (
    <ListPage
      title={t("config")}
      items={query.data?.items}
      error={query.error}
      columns={[t("kind"), t("name"), t("namespace")]}
      searchText={(item) => `${item.kind} ${item.name} ${item.namespace}`}
      row={(item) => (
        <tr key={objectKey(item)} className={item === chosen ? "selected" : ""}>
          <td>{item.kind}</td>
          <td>
            <button type="button" className="link" onClick={() => setParameters({ object: objectKey(item) })}>
              {item.name}
            </button>
          </td>
          <td>{item.namespace}</td>
        </tr>
      )}
      side={
        <aside className="panel" aria-label={chosen?.name ?? t("config")}>
          {chosen === undefined ? <p className="soft">{t("configHint")}</p> : <ObjectText item={chosen} />}
        </aside>
      }
    />
  );
}

function ObjectText({ item }: { item: ConfigObject }) {
  const { apiVersion, kind, namespace, name, spec, status } = item;
  const whole = { apiVersion, kind, metadata: { name, namespace }, spec, ...(Object.keys(status).length > 0 ? { status } : {}) };
  return (
    <>
      <header className="panel-head">
        <span className="panel-kind">{kind}</span>
        <h2>{name}</h2>
        <p className="soft">{namespace}</p>
      </header>
      <pre className="source" tabIndex={0}>
        <code>{writeYaml(whole)}</code>
      </pre>
    </>
  );
}
