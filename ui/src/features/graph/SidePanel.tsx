/** Everything about the selected node or edge: health with its reasons, numbers, history. */
import { useMemo } from "react";
import { Link } from "react-router";
import type { GraphEdge, GraphNode, TrafficGraph } from "../../api/client";
import { useText } from "../../app/language";
import type { TextKey } from "../../app/texts";
import { MOST_HOPS, type GraphAddress, type Selection } from "../../domain/address";
import { formatShare } from "../../domain/format";
import { nodeName } from "../../domain/names";
import type { Focus } from "../../domain/shown";
import { inside } from "../../domain/zoom";
import { HealthLabel } from "../../shared/health";
import { BADGE_ICONS, Icon } from "../../shared/icons";
import { detailsAddress, versionsAddress } from "../overview/words";
import { ComparisonSection } from "./ChangesBeside";
import { Plots } from "./Plots";
import { ResponseTable, TrafficNumbers } from "./Numbers";
import { Verdict } from "./Verdict";
import { fullName, nodeTitle, rateText, bytesText, ROOT_NAMESPACE } from "./words";

interface Properties {
  graph: TrafficGraph;
  selection: NonNullable<Selection>;
  onSelect: (selection: Selection) => void;
  live: boolean;
  focus: Focus | null;
  change: (change: Partial<GraphAddress>) => void;
}

export default function SidePanel({ graph, selection, onSelect, live, focus, change }: Properties) {
  const t = useText();
  const node = selection.kind === "node" ? graph.nodes.find((item) => item.id === selection.id) : undefined;
  const edge = selection.kind === "edge" ? graph.edges.find((item) => item.id === selection.id) : undefined;
  const until = live ? null : graph.timestamp;
  return (
    <aside className="panel" aria-label={node !== undefined ? fullName(node, t) : t("graph")}>
      <button type="button" className="icon-button panel-close" onClick={() => onSelect(null)} aria-label={t("close")}>
        <Icon name="close" />
      </button>
      {node !== undefined && <NodeDetails graph={graph} node={node} onSelect={onSelect} until={until} focus={focus} change={change} />}
      {edge !== undefined && <EdgeDetails graph={graph} edge={edge} onSelect={onSelect} until={until} />}
      {node === undefined && edge === undefined && <p className="soft">{t("noHistory")}</p>}
    </aside>
  );
}

interface NodeProperties {
  graph: TrafficGraph;
  node: GraphNode;
  onSelect: (selection: Selection) => void;
  until: number | null;
  focus: Focus | null;
  change: (change: Partial<GraphAddress>) => void;
}

/** Look inside of a node, or at it with what is near it only. */
function Nearer({ node, graph, focus, change }: Pick<NodeProperties, "node" | "graph" | "focus" | "change">) {
  const t = useText();
  const opened = inside(node);
  return (
    <div className="nearer">
      {opened !== null && opened.graphType !== graph.graphType && (
        <button type="button" className="control" onClick={() => change(opened)}>
          <Icon name="plus" size={16} /> {t(`open.${node.type}` as TextKey)}
        </button>
      )}
      {node.type !== "namespace" && node.type !== "cluster" && (
        <div className="segments" role="group" aria-label={t("focus")}>
          {Array.from({ length: MOST_HOPS }, (_, index) => index + 1).map((hops) => {
            const pressed = focus?.id === node.id && focus.hops === hops;
            return (
              <button key={hops} type="button" aria-pressed={pressed} onClick={() => change({ focus: pressed ? null : { id: node.id, hops } })}>
                {t(hops === 1 ? "focusNeighbours" : "focusHops", { hops })}
              </button>
            );
          })}
        </div>
      )}
    </div>
  );
}

function NodeDetails({ graph, node, onSelect, until, focus, change }: NodeProperties) {
  const t = useText();
  const { inbound, outbound } = node.traffic;
  const marked = useNamespacesOf(node);
  const page = pageOf(node);
  const received = inbound.requestCount > 0 || inbound.bytesSentPerSecond > 0;
  const called = outbound.requestCount > 0 || outbound.bytesSentPerSecond > 0;
  return (
    <>
      <header className="panel-head">
        <span className="panel-kind">
          <Icon name={node.type} size={16} /> {t(`kind.${node.type}`)}
        </span>
        <h2>
          {nodeTitle(node, t)} {nodeName(node).version !== "" && <span className="pill">{nodeName(node).version}</span>}
        </h2>
        {node.namespace !== "" && node.type !== "namespace" && <p className="soft">{[node.namespace, ...(node.type === "pod" ? [node.workload] : [])].join(" / ")}</p>}
        {page !== null && (
          <p>
            <Link to={page}>{t("openWorkload")}</Link>
            {node.app !== "" && (node.version !== "" || node.type === "app") && (
              <>
                {" · "}
                <Link to={versionsAddress(node.namespace, node.app, node.version, until)}>{t("compareVersions")}</Link>
              </>
            )}
          </p>
        )}
      </header>
      <Nearer node={node} graph={graph} focus={focus} change={change} />
      <Verdict health={node.health} traffic={[inbound, outbound]} kind="node" id={node.id} name={fullName(node, t)} />
      {graph.comparison !== undefined && <ComparisonSection comparison={graph.comparison} change={graph.comparison.nodes[node.id]} />}
      <Explanation node={node} graph={graph} />
      {node.badges.length > 0 && (
        <ul className="badges">
          {node.badges.map((badge) => (
            <li key={badge}>
              <Icon name={BADGE_ICONS[badge] ?? "route"} size={14} /> {t(`badge.${badge}` as TextKey)}
            </li>
          ))}
        </ul>
      )}
      {received && <TrafficNumbers title={t("inbound")} traffic={inbound} />}
      {called && <TrafficNumbers title={t("outbound")} traffic={outbound} />}
      {received && <ResponseTable traffic={inbound} />}
      {(received || called) && (
        <Plots subject={{ kind: "node", id: node.id, direction: received ? "inbound" : "outbound", unreached: isUnreached(node, graph) }} until={until} markedNamespaces={marked} />
      )}
      <Neighbours title={t("callers")} graph={graph} edges={graph.edges.filter((edge) => edge.target === node.id)} end="source" onSelect={onSelect} />
      <Neighbours title={t("callees")} graph={graph} edges={graph.edges.filter((edge) => edge.source === node.id)} end="target" onSelect={onSelect} />
    </>
  );
}

interface NeighbourProperties {
  title: string;
  graph: TrafficGraph;
  edges: GraphEdge[];
  end: "source" | "target";
  onSelect: (selection: Selection) => void;
}

function Neighbours({ title, graph, edges, end, onSelect }: NeighbourProperties) {
  const t = useText();
  if (edges.length === 0) return null;
  return (
    <section>
      <h3>{title}</h3>
      <ul className="neighbours">
        {edges.map((edge) => {
          const node = graph.nodes.find((item) => item.id === edge[end]);
          return (
            <li key={edge.id}>
              <button type="button" className="link" onClick={() => onSelect({ kind: "edge", id: edge.id })}>
                {node === undefined ? edge[end] : fullName(node, t)}
              </button>
              <span className="soft">{edge.protocol === "tcp" ? bytesText(edge, t) : rateText(edge.requestsPerSecond, t)}</span>
              {edge.health.status !== "healthy" && <HealthLabel status={edge.health.status} />}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

interface EdgeProperties {
  graph: TrafficGraph;
  edge: GraphEdge;
  onSelect: (selection: Selection) => void;
  until: number | null;
}

function EdgeDetails({ graph, edge, onSelect, until }: EdgeProperties) {
  const t = useText();
  const ends = ([edge.source, edge.target] as const).map((id) => graph.nodes.find((node) => node.id === id));
  const [source, target] = ends;
  const marked = useNamespacesOf(source, target);
  const link = (node: GraphNode | undefined) =>
    node !== undefined && (
      <button type="button" className="link" onClick={() => onSelect({ kind: "node", id: node.id })}>
        {fullName(node, t)}
      </button>
    );
  const ratio = edge.mtlsRatio;
  const security = ratio === null ? t("mtlsUnknown") : ratio >= 1 ? t("mtlsFull") : ratio > 0 ? t("mtlsPart", { share: formatShare(ratio) }) : t("mtlsNone");
  return (
    <>
      <header className="panel-head">
        <span className="panel-kind">{edge.protocol.toUpperCase()}</span>
        <h2 className="edge-title">
          {link(source)} <Icon name="arrow" size={18} /> {link(target)}
        </h2>
      </header>
      <Verdict health={edge.health} traffic={[edge]} kind="edge" id={edge.id} name={[source, target].map((node) => (node === undefined ? "" : fullName(node, t))).join(" → ")} />
      {graph.comparison !== undefined && <ComparisonSection comparison={graph.comparison} change={graph.comparison.edges[edge.id]} edge={edge.id} />}
      {target !== undefined && <Explanation node={target} graph={graph} />}
      {source?.type === "unknown" && <Explanation node={source} graph={graph} />}
      <p className={`security${ratio === null ? " unsure" : ratio < 1 ? " open" : ""}`}>
        <Icon name={ratio === null ? "unknown" : ratio < 1 ? "unlock" : "lock"} size={16} /> {security}
      </p>
      <TrafficNumbers title={edge.protocol === "tcp" ? "TCP" : t("requests")} traffic={edge} />
      <ResponseTable traffic={edge} />
      <Plots subject={{ kind: "edge", id: edge.id, unreached: target !== undefined && isUnreached(target, graph) }} until={until} markedNamespaces={marked} />
      {edge.sourcePrincipals.length + edge.destinationPrincipals.length > 0 && (
        <section>
          <h3>{t("identities")}</h3>
          <ul className="identities">
            {[...new Set([...edge.sourcePrincipals, ...edge.destinationPrincipals])].map((principal) => (
              <li key={principal}>
                <code>{principal}</code>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

/** Where changes are marked from: objects of other namespaces seldom matter here. */
function useNamespacesOf(...nodes: (GraphNode | undefined)[]): readonly string[] {
  const names = [...new Set([...nodes.map((node) => node?.namespace ?? ""), ROOT_NAMESPACE])].join(",");
  return useMemo(() => names.split(",").filter((name) => name !== ""), [names]);
}

/** Where a node's own page is; null for what has none. */
function pageOf(node: GraphNode): string | null {
  if (node.namespace === "") return null;
  const kind = node.type === "gateway" || node.type === "pod" ? "workload" : node.type;
  if (kind !== "service" && kind !== "app" && kind !== "workload") return null;
  return node[kind] === "" ? null : detailsAddress(kind, node.namespace, node[kind]);
}

/** A service in a graph of workloads stands for requests that no workload is known to have answered. */
function isUnreached(node: GraphNode, graph: TrafficGraph): boolean {
  const between = graph.edges.some((edge) => edge.source === node.id);
  return node.type === "service" && graph.graphType !== "service" && node.namespace !== "" && !between;
}

/** Nodes that are no workload of the mesh need a sentence: why are they here, and what can be done. */
function Explanation({ node, graph }: { node: GraphNode; graph: TrafficGraph }) {
  const t = useText();
  const called = graph.edges.some((edge) => edge.target === node.id);
  const between = called && graph.edges.some((edge) => edge.source === node.id);
  const key: TextKey | null =
    node.type === "unknown"
      ? node.id === "unknown" ? "explain.unknown" : "explain.unknownTarget"
      : node.type === "passthrough" || node.type === "blackhole"
        ? `explain.${node.type}`
        : graph.graphType === "pod" && node.type !== "pod" && node.workload !== "" && between ? "explain.betweenPods"
        : called && isUnreached(node, graph) ? "explain.unreached" : null;
  return key === null ? null : <p className="explanation">{t(key)}</p>;
}
