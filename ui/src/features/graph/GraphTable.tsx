/** The same graph as a table: one row per edge, then the nodes without edges. */
import type { Change, Comparison, GraphNode, TrafficGraph } from "../../api/client";
import { useText } from "../../app/language";
import type { Selection } from "../../domain/address";
import { formatMilliseconds, formatShare } from "../../domain/format";
import type { Finder } from "../../domain/find";
import { HealthButton } from "../health/HealthButton";
import { changeText, mainKind } from "./changes";
import { ChangeLink, changesBeside } from "./ChangesBeside";
import { byteRateText, bytesText, fullName, rateText } from "./words";

interface Properties {
  graph: TrafficGraph;
  finder: Finder | null;
  selection: Selection;
  onSelect: (selection: Selection) => void;
}

export function GraphTable({ graph, finder, selection, onSelect }: Properties) {
  const t = useText();
  const { comparison } = graph;
  const nodes = new Map(graph.nodes.map((node) => [node.id, node]));
  const found = (id: string) => {
    const node = nodes.get(id);
    return node !== undefined && (finder?.node(node) ?? true);
  };
  const edges = graph.edges.filter((edge) => finder === null || finder.edge(edge) || (!finder.aboutTraffic && (found(edge.source) || found(edge.target))));
  const connected = new Set(graph.edges.flatMap((edge) => [edge.source, edge.target]));
  const lonely = graph.nodes.filter((node) => !connected.has(node.id) && found(node.id));
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={t("view.table")}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("health")}</th>
            <th scope="col">{t("from")}</th>
            <th scope="col">{t("to")}</th>
            {comparison !== undefined && <th scope="col">{t("changes")}</th>}
            {comparison !== undefined && <th scope="col">{t("besideColumn")}</th>}
            <th scope="col">{t("protocol")}</th>
            <th scope="col" className="number">{t("requests")}</th>
            <th scope="col" className="number">{t("errors")}</th>
            <th scope="col" className="number">p50</th>
            <th scope="col" className="number">p95</th>
            <th scope="col" className="number">p99</th>
            <th scope="col" className="number">{t("requestBytes")}</th>
            <th scope="col" className="number">{t("responseBytes")}</th>
            <th scope="col" className="number">{t("mtls")}</th>
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={edge.id} className={selection?.id === edge.id ? "selected" : ""}>
              <td>
                <HealthButton status={edge.health.status} kind="edge" id={edge.id} name={[nodes.get(edge.source), nodes.get(edge.target)].map((node) => (node === undefined ? "" : fullName(node, t))).join(" → ")} />
              </td>
              <td>
                <NodeLink node={nodes.get(edge.source)} onSelect={onSelect} />
              </td>
              <td>
                <NodeLink node={nodes.get(edge.target)} onSelect={onSelect} />
              </td>
              {comparison !== undefined && <ChangeCell change={comparison.edges[edge.id]} />}
              {comparison !== undefined && <BesideCell comparison={comparison} edge={edge.id} />}
              <td>
                <button type="button" className="link" onClick={() => onSelect({ kind: "edge", id: edge.id })}>
                  {edge.protocol}
                </button>
              </td>
              <td className="number">{edge.protocol === "tcp" ? bytesText(edge, t) : rateText(edge.requestsPerSecond, t)}</td>
              <td className="number">{formatShare(edge.errorRatio)}</td>
              <td className="number">{formatMilliseconds(edge.p50Milliseconds)}</td>
              <td className="number">{formatMilliseconds(edge.p95Milliseconds)}</td>
              <td className="number">{formatMilliseconds(edge.p99Milliseconds)}</td>
              <td className="number">{byteRateText(edge.bytesReceivedPerSecond, t)}</td>
              <td className="number">{byteRateText(edge.bytesSentPerSecond, t)}</td>
              <td className="number">{formatShare(edge.mtlsRatio)}</td>
            </tr>
          ))}
          {lonely.map((node) => (
            <tr key={node.id}>
              <td>
                <HealthButton status={node.health.status} kind="node" id={node.id} name={fullName(node, t)} />
              </td>
              <td>
                <NodeLink node={node} onSelect={onSelect} />
              </td>
              <td>–</td>
              {comparison !== undefined && <ChangeCell change={comparison.nodes[node.id]} />}
              <td colSpan={comparison === undefined ? 9 : 10}>–</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ChangeCell({ change }: { change: Change | undefined }) {
  const t = useText();
  return <td>{change === undefined ? <span className="soft">–</span> : <span className={`change change-${mainKind(change)}`}>{changeText(change, t)}</span>}</td>;
}

function BesideCell({ comparison, edge }: { comparison: Comparison; edge: string }) {
  const found = changesBeside(comparison, edge);
  if (found.length === 0) return <td className="soft">–</td>;
  return (
    <td>
      <ul className="beside">
        {found.map(({ change }) => (
          <li key={change.id}>
            <ChangeLink change={change} />
          </li>
        ))}
      </ul>
    </td>
  );
}

function NodeLink({ node, onSelect }: { node: GraphNode | undefined; onSelect: (selection: Selection) => void }) {
  const t = useText();
  if (node === undefined) return null;
  return (
    <button type="button" className="link" onClick={() => onSelect({ kind: "node", id: node.id })}>
      {fullName(node, t)} <span className="soft">{node.namespace}</span>
    </button>
  );
}
