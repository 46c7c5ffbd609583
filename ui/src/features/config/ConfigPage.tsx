import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import { fetchConfig, type ConfigObject } from "../../api/client";
import { untilAnswered } from "../../api/queries";
import { useLanguage } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import { Icon } from "../../shared/icons";
import { ListPage } from "../../shared/ListPage";
import { usePolling } from "../../shared/useEvents";
import { ControlPlaneSilent, InForceMark, useDistribution } from "./InForce";

export default function ConfigPage() {
  const { t, language } = useLanguage();
  const [parameters, setParameters] = useSearchParams();
  const query = useQuery({ queryKey: ["config"], queryFn: ({ signal }) => fetchConfig(signal), refetchInterval: usePolling(5000) || untilAnswered });
  const asked = useDistribution();
  const [kind, namespace] = [parameters.get("kind") ?? "", parameters.get("namespace") ?? ""];
  const onlyFindings = parameters.get("findings") === "true";
  const all = query.data?.items;
  const shown = all?.filter(
    (item) => (kind === "" || item.kind === kind) && (namespace === "" || item.namespace === namespace) && (!onlyFindings || countFindings(item) > 0),
  );
  const choose = (name: string, value: string) =>
    setParameters((before) => {
      const next = new URLSearchParams(before);
      if (value === "") next.delete(name);
      else next.set(name, value);
      return next;
    });
  return (
    <ListPage
      title={t("config")}
      items={shown}
      query={query}
      notice={<ControlPlaneSilent asked={asked} />}
      columns={[t("kind"), t("name"), t("namespace"), t("findings"), t("inForce"), t("created")]}
      searchText={(item) => `${item.kind} ${item.name} ${item.namespace}`}
      tools={
        <>
          <Choice label={t("kind")} value={kind} options={unique(all?.map((item) => item.kind))} onChange={(value) => choose("kind", value)} />
          <Choice label={t("namespace")} value={namespace} options={unique(all?.map((item) => item.namespace))} onChange={(value) => choose("namespace", value)} />
          <button type="button" className="control" aria-pressed={onlyFindings} onClick={() => choose("findings", onlyFindings ? "" : "true")}>
            <Icon name="warning" size={15} /> {t("withFindings")}
          </button>
          <Link className="control" to="/config/wizard">
            <Icon name="route" size={15} /> {t("wizard")}
          </Link>
          <Link className="control" to="/config/new">
            <Icon name="plus" size={15} /> {t("newObject")}
          </Link>
        </>
      }
      row={(item) => (
        <tr key={`${item.kind}.${item.apiVersion}/${item.namespace}/${item.name}`}>
          <td>{item.kind}</td>
          <td>
            <Link to={objectAddress(item)}>{item.name}</Link>
          </td>
          <td>{item.namespace}</td>
          <td>
            {countFindings(item) === 0 ? (
              <span className="soft">–</span>
            ) : (
              <span className="with-icon finding-mark">
                <Icon name="warning" size={15} /> {countFindings(item)}
              </span>
            )}
          </td>
          <td>
            <InForceMark asked={asked} place={item} />
          </td>
          <td className="soft">{item.created === "" ? "–" : new Date(item.created).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" })}</td>
        </tr>
      )}
    />
  );
}

function Choice({ label, value, options, onChange }: { label: string; value: string; options: string[]; onChange: (value: string) => void }) {
  const { t } = useLanguage();
  return (
    <label className="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{t("all")}</option>
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  );
}

const unique = (values: string[] | undefined) => [...new Set(values ?? [])].filter((value) => value !== "").sort();

/** What the control plane has written into the object's status. */
function countFindings(item: ConfigObject): number {
  const messages = item.status["validationMessages"];
  return Array.isArray(messages) ? messages.length : 0;
}
