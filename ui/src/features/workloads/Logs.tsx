/** The ends of the application's and the sidecar's logs, side by side, asked again while they are followed. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { fetchLogs, type Pod } from "../../api/client";
import { useText } from "../../app/language";
import { Icon } from "../../shared/icons";

const SIDECAR = "istio-proxy";
const LINES = 500;

export function Logs({ namespace, pods }: { namespace: string; pods: Pod[] }) {
  const t = useText();
  const [chosen, setChosen] = useState("");
  const [search, setSearch] = useState("");
  const [following, setFollowing] = useState(true);
  const pod = pods.find((item) => item.name === chosen) ?? pods[0];
  if (pod === undefined) return null;
  const names = pod.containers.map((container) => container.name);
  const applications = names.filter((name) => name !== SIDECAR && name !== "istio-init");
  return (
    <section>
      <div className="logs-head">
        <h2>{t("logs")}</h2>
        <label className="choice">
          <span>{t("pod")}</span>
          <select value={pod.name} onChange={(event) => setChosen(event.target.value)}>
            {pods.map((item) => (
              <option key={item.name}>{item.name}</option>
            ))}
          </select>
        </label>
        <label className="find">
          <Icon name="search" size={16} />
          <span className="hidden">{t("findInLogs")}</span>
          <input type="search" value={search} placeholder={t("findInLogs")} onChange={(event) => setSearch(event.target.value)} />
        </label>
        <label className="check">
          <input type="checkbox" checked={following} onChange={(event) => setFollowing(event.target.checked)} />
          {t("follow")}
        </label>
      </div>
      <div className="columns">
        {[...applications, ...names.filter((name) => name === SIDECAR)].map((container) => (
          <Log key={`${pod.name}/${container}`} place={{ namespace, pod: pod.name, container }} search={search} following={following} />
        ))}
      </div>
    </section>
  );
}

interface LogProperties {
  place: { namespace: string; pod: string; container: string };
  search: string;
  following: boolean;
}

function Log({ place, search, following }: LogProperties) {
  const t = useText();
  const view = useRef<HTMLPreElement>(null);
  const { data, error } = useQuery({
    queryKey: ["logs", place],
    queryFn: ({ signal }) => fetchLogs(place, LINES, signal),
    refetchInterval: following ? 2000 : false,
  });
  const lines = data?.split("\n").filter((line) => line !== "") ?? [];
  const wanted = search.trim().toLowerCase();
  const shown = wanted === "" ? lines : lines.filter((line) => line.toLowerCase().includes(wanted));
  const text = shown.join("\n");
  useEffect(() => {
    if (following && view.current !== null) view.current.scrollTop = view.current.scrollHeight;
  }, [text, following]);
  return (
    <section className="log" aria-label={`${t("logs")}: ${place.container}`}>
      <h3>
        {place.container} <span className="soft">{t("logLines", { shown: shown.length, all: lines.length })}</span>
      </h3>
      {error !== null && <p className="soft">{error.message}</p>}
      <pre ref={view} tabIndex={0}>
        {text === "" && data !== undefined ? t("noLines") : text}
      </pre>
    </section>
  );
}
