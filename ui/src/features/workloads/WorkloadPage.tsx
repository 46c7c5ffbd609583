/** One workload from close by: why it is well or not, its traffic, its pods, its proxies, its logs. */
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, useParams } from "react-router";
import { fetchWorkload, type Pod, type ProxyState, type WorkloadDetails } from "../../api/client";
import { useText } from "../../app/language";
import { FailureBanner } from "../../shared/failure";
import { HealthLabel } from "../../shared/health";
import { TrafficNumbers } from "../graph/Numbers";
import { Plots } from "../graph/Plots";
import { Verdict } from "../graph/Verdict";
import { Logs } from "./Logs";

export default function WorkloadPage() {
  const t = useText();
  const { namespace = "", name = "" } = useParams();
  const { data, error } = useQuery({ queryKey: ["workload", namespace, name], queryFn: ({ signal }) => fetchWorkload(namespace, name, signal), refetchInterval: 3000 });
  useEffect(() => {
    document.title = `${name} · Kaiki`;
  }, [name]);
  return (
    <div className="list-page">
      <header className="list-head">
        <div>
          <p className="soft">
            <Link to="/workloads">{t("workloads")}</Link> / {namespace}
          </p>
          <h1>
            {name} {data !== undefined && data.workload.version !== "" && <span className="pill">{data.workload.version}</span>}
          </h1>
        </div>
        {data !== undefined && data.node !== null && <Link to={`/graph?idle=true&node=${encodeURIComponent(data.node.id)}`}>{t("inGraph")}</Link>}
      </header>
      {error !== null && <FailureBanner error={error} />}
      <div className="details">
        {data === undefined && error === null && <p className="page-note">{t("loading")}</p>}
        {data !== undefined && <Details data={data} />}
      </div>
    </div>
  );
}

function Details({ data: { node, pods, proxies } }: { data: WorkloadDetails }) {
  const t = useText();
  return (
    <>
      {node === null ? (
        <p className="soft">{t("errorTitle")}</p>
      ) : (
        <>
          <Verdict health={node.health} traffic={[node.traffic.inbound, node.traffic.outbound]} />
          <div className="columns">
            {(["inbound", "outbound"] as const).map((direction) => (
              <section key={direction} aria-label={t(direction)}>
                <TrafficNumbers title={t(direction)} traffic={node.traffic[direction]} />
                <Plots subject={{ kind: "node", id: node.id, direction }} until={null} />
              </section>
            ))}
          </div>
        </>
      )}
      <section>
        <h2>{t("pods")}</h2>
        <PodTable pods={pods} proxies={proxies} />
      </section>
      {pods.length > 0 && <Logs namespace={node?.namespace ?? ""} pods={pods} />}
    </>
  );
}

function PodTable({ pods, proxies }: { pods: Pod[]; proxies: ProxyState[] | null }) {
  const t = useText();
  if (pods.length === 0) return <p className="soft">{t("noPods")}</p>;
  return (
    <div className="table-frame">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("name")}</th>
            <th scope="col">{t("phase")}</th>
            <th scope="col">{t("address")}</th>
            <th scope="col">{t("containers")}</th>
            <th scope="col" className="number">{t("restarts")}</th>
            <th scope="col">{t("proxyConfig")}</th>
          </tr>
        </thead>
        <tbody>
          {pods.map((pod) => (
            <tr key={pod.name}>
              <td>{pod.name}</td>
              <td>{pod.phase}</td>
              <td>{pod.address}</td>
              <td>
                {pod.containers.map((container) => (
                  <span key={container.name} className={container.ready || container.reason === "Completed" ? "container" : "container waiting"}>
                    {container.name}: {t(`state.${container.state}`)} {container.reason}
                  </span>
                ))}
              </td>
              <td className="number">{pod.containers.reduce((sum, container) => sum + container.restarts, 0)}</td>
              <td>
                <ProxyCell state={proxies?.find((proxy) => proxy.pod === pod.name)} known={proxies !== null} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ProxyCell({ state, known }: { state: ProxyState | undefined; known: boolean }) {
  const t = useText();
  if (!known) return <span className="soft">{t("proxyUnknown")}</span>;
  if (state === undefined) return <span className="soft">–</span>;
  if (state.rejected.length === 0) return state.synced ? <HealthLabelText healthy text={t("proxySynced")} /> : <HealthLabelText text={t("proxyBehind")} />;
  return (
    <>
      <HealthLabel status="failure" /> {state.rejected.map((item) => `${item.name}: ${item.reason}`).join("; ")}
    </>
  );
}

function HealthLabelText({ text, healthy = false }: { text: string; healthy?: boolean }) {
  return <span className={`health health-${healthy ? "healthy" : "degraded"}`}>{text}</span>;
}
