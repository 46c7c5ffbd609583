/** Numbers, plots and latency heat of both directions, and why the health is what it is. */
import { useMemo } from "react";
import type { SubjectDetails } from "../../api/pages";
import { useText } from "../../app/language";
import { ResponseTable, TrafficNumbers } from "../graph/Numbers";
import { Plots } from "../graph/Plots";
import { Verdict } from "../graph/Verdict";
import { ROOT_NAMESPACE } from "../graph/words";
import { HeatMap } from "./HeatMap";
import type { DetailAddress } from "./useDetailAddress";

export function TrafficTab({ data: { node, measured, kind, namespace, name }, address: { at, durationSeconds } }: { data: SubjectDetails; address: DetailAddress }) {
  const t = useText();
  // Objects of other namespaces seldom matter here, and in a large mesh there is always one that changes.
  const marked = useMemo(() => [namespace, ROOT_NAMESPACE], [namespace]);
  if (node === null || !measured) return <p className="page-note">{t(measured ? "noHistory" : "trafficNotMeasured")}</p>;
  const directions = kind === "service" && node.type === "service" ? (["inbound"] as const) : (["inbound", "outbound"] as const);
  return (
    <>
      <Verdict health={node.health} traffic={[node.traffic.inbound, node.traffic.outbound]} kind="node" id={node.id} name={name} />
      <div className="columns">
        {directions.map((direction) => {
          const traffic = node.traffic[direction];
          const silent = traffic.requestCount === 0 && traffic.bytesSentPerSecond + traffic.bytesReceivedPerSecond === 0;
          return (
            <section key={direction} className="direction" aria-label={t(direction)}>
              <h2>{t(direction)}</h2>
              {silent && <p className="soft">{t(direction === "inbound" ? "silentInbound" : "silentOutbound")}</p>}
              <TrafficNumbers title="" traffic={traffic} />
              <Plots subject={{ kind: "node", id: node.id, direction }} until={at} spanSeconds={durationSeconds} markedNamespaces={marked} />
              <HeatMap node={node.id} direction={direction} until={at} spanSeconds={durationSeconds} markedNamespaces={marked} />
              <ResponseTable traffic={traffic} />
            </section>
          );
        })}
      </div>
    </>
  );
}
