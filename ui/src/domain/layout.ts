/**
 * The layout's request and answer, apart from the engine that computes it. Sizes do not depend on the numbers shown, so
 * the layout of the same nodes and edges is the same at every refresh: nothing moves while somebody looks.
 */
import type { ElkExtendedEdge, ElkNode, LayoutOptions } from "elkjs/lib/elk-api";

export const NODE_HEIGHT = 58;
const LABEL = { width: 106, height: 22 };
const MANY_NODES = 120;
/** A namespace with more edges than this, and this many for each node, is arranged by some of them. */
const MANY_EDGES = 300;
const DENSE = 4;
const NAMESPACE_PADDING = "[top=44,left=22,bottom=22,right=22]";

export interface Point {
  x: number;
  y: number;
}

export interface Box extends Point {
  id: string;
  width: number;
  height: number;
}

export interface Route {
  id: string;
  points: Point[];
  label: Point;
}

export interface Layout {
  key: string;
  width: number;
  height: number;
  nodes: ReadonlyMap<string, Box>;
  namespaces: Box[];
  routes: ReadonlyMap<string, Route>;
}

export interface Topology {
  nodes: readonly { id: string; namespace: string; width: number }[];
  edges: readonly { id: string; source: string; target: string }[];
  direction: Direction;
}

/** The way traffic flows: to the right, or downwards on narrow screens. */
export type Direction = "RIGHT" | "DOWN";

/** Equal for equal topologies: the layout is only computed anew when this changes. */
export function topologyKey({ nodes, edges, direction }: Topology): string {
  return [direction, ...nodes.map((node) => `${node.id}\u0001${node.namespace}\u0001${node.width}`), ...edges.map((edge) => edge.id)].join("\u0000");
}

/**
 * `ordered` keeps edges, and with them v1, v2, v3, in the order of their ids where that costs no crossing. The engine is
 * known to fail on some graphs with it; they are laid out again without.
 */
export function layoutRequest({ nodes, edges, direction }: Topology, ordered = true): ElkNode {
  // Laying out all namespaces as one takes minutes for a thousand nodes; one by one it takes half a second, and the edges
  // between namespaces are then drawn as plain curves (`readLayout`).
  const large = nodes.length > MANY_NODES;
  const order: LayoutOptions = ordered ? { "elk.layered.considerModelOrder.strategy": "PREFER_EDGES" } : {};
  const placement: LayoutOptions = {
    "elk.layered.nodePlacement.strategy": large ? "BRANDES_KOEPF" : "NETWORK_SIMPLEX",
    "elk.layered.thoroughness": large ? "1" : "7",
    "elk.spacing.nodeNode": "30",
    "elk.spacing.edgeNode": "18",
    "elk.spacing.edgeEdge": "14",
    "elk.layered.spacing.nodeNodeBetweenLayers": "38",
    "elk.layered.spacing.edgeNodeBetweenLayers": "18",
    "elk.layered.spacing.edgeEdgeBetweenLayers": "14",
  };
  const leaf = ({ id, width }: Topology["nodes"][number]): ElkNode => ({ id, width, height: NODE_HEIGHT });
  const namespaces = [...new Set(nodes.map((node) => node.namespace))].filter((name) => name !== "").sort();
  const members = (namespace: string): ElkNode[] =>
    nodes.filter((node) => node.namespace === namespace).map(leaf);
  return {
    id: "root",
    layoutOptions: {
      "elk.algorithm": "layered",
      ...order,
      "elk.direction": direction,
      "elk.hierarchyHandling": large ? "SEPARATE_CHILDREN" : "INCLUDE_CHILDREN",
      "elk.edgeRouting": "ORTHOGONAL",
      "elk.json.shapeCoords": "ROOT",
      "elk.json.edgeCoords": "ROOT",
      ...placement,
      "elk.spacing.componentComponent": "40",
      "elk.padding": "[top=12,left=12,bottom=12,right=12]",
    },
    children: [
      ...namespaces.map((namespace) => ({
        id: `frame:${namespace}`,
        layoutOptions: { "elk.padding": NAMESPACE_PADDING, ...order, ...(large ? { ...placement, "elk.algorithm": "layered", "elk.direction": direction, "elk.edgeRouting": "ORTHOGONAL" } : {}) },
        children: members(namespace),
      })),
      ...members(""),
    ],
    edges: arranging(nodes, edges).map((edge) => ({
      id: edge.id,
      sources: [edge.source],
      targets: [edge.target],
      // Each label is one more thing to place, which doubles the work; in large graphs it goes to the middle of its edge.
      ...(large ? {} : { labels: [{ id: `label:${edge.id}`, text: "label", ...LABEL, layoutOptions: { "elk.edgeLabels.inline": "true" } }] }),
    })),
  };
}

/**
 * The edges that nodes are arranged by: all, but where there are too many for anybody to follow, which takes the engine
 * minutes, the first that comes to each node and the first that leaves it. `readLayout` draws the others as plain curves.
 */
function arranging(nodes: Topology["nodes"], edges: Topology["edges"]): Topology["edges"] {
  const place = new Map(nodes.map((node) => [node.id, node.namespace]));
  const within = new Map<string, { nodes: number; edges: number }>();
  const count = (namespace: string) => {
    const found = within.get(namespace) ?? { nodes: 0, edges: 0 };
    within.set(namespace, found);
    return found;
  };
  for (const node of nodes) count(node.namespace).nodes += 1;
  const inside = ({ source, target }: Topology["edges"][number]) => (place.get(source) === place.get(target) ? place.get(source) : undefined);
  for (const edge of edges) {
    const namespace = inside(edge);
    if (namespace !== undefined) count(namespace).edges += 1;
  }
  const dense = new Set([...within].filter(([, { nodes: some, edges: many }]) => many > MANY_EDGES && many > DENSE * some).map(([namespace]) => namespace));
  const left = new Set<string>();
  const reached = new Set<string>();
  return edges.filter((edge) => {
    const namespace = inside(edge);
    if (namespace === undefined || !dense.has(namespace)) return true;
    if (left.has(edge.source) && reached.has(edge.target)) return false;
    left.add(edge.source);
    reached.add(edge.target);
    return true;
  });
}

/** What the engine answered, with all `edges` of the topology. */
export function readLayout(key: string, answer: ElkNode, edges: Topology["edges"]): Layout {
  const nodes = new Map<string, Box>();
  const namespaces: Box[] = [];
  for (const child of answer.children ?? []) {
    if (child.id.startsWith("frame:")) {
      namespaces.push({ ...box(child), id: child.id.slice("frame:".length) });
      for (const member of child.children ?? []) nodes.set(member.id, box(member));
    } else {
      nodes.set(child.id, box(child));
    }
  }
  const routes = new Map<string, Route>();
  const drawn = new Map(collectEdges(answer).map((edge) => [edge.id, edge]));
  for (const edge of edges) {
    const found = drawn.get(edge.id);
    const curve = found?.sections === undefined ? directRoute(edge, nodes) : route(found);
    if (curve !== null) routes.set(edge.id, curve);
  }
  return { key, width: answer.width ?? 0, height: answer.height ?? 0, nodes, namespaces, routes };
}

function collectEdges(node: ElkNode): ElkExtendedEdge[] {
  return [...(node.edges ?? []), ...(node.children ?? []).flatMap(collectEdges)];
}

function box(node: ElkNode): Box {
  return { id: node.id, x: node.x ?? 0, y: node.y ?? 0, width: node.width ?? 0, height: node.height ?? 0 };
}

/** From the right side of one node to the left side of the other, through the middle between them. */
export function directRoute(edge: Topology["edges"][number], nodes: ReadonlyMap<string, Box>): Route | null {
  const source = nodes.get(edge.source);
  const target = nodes.get(edge.target);
  if (source === undefined || target === undefined) return null;
  const from = { x: source.x + source.width, y: source.y + source.height / 2 };
  const to = { x: target.x, y: target.y + target.height / 2 };
  const middle = (from.x + to.x) / 2;
  const label = { x: middle, y: (from.y + to.y) / 2 };
  return { id: edge.id, points: [from, { x: middle, y: from.y }, { x: middle, y: to.y }, to], label };
}

function route(edge: ElkExtendedEdge): Route {
  const points = (edge.sections ?? []).flatMap((section) => [
    section.startPoint,
    ...(section.bendPoints ?? []),
    section.endPoint,
  ]);
  const label = edge.labels?.[0];
  const place = label === undefined ? middleOf(points) : { x: (label.x ?? 0) + LABEL.width / 2, y: (label.y ?? 0) + LABEL.height / 2 };
  return { id: edge.id, points, label: place };
}

/** The middle of the longest straight piece. */
function middleOf(points: readonly Point[]): Point {
  let [best, length] = [points[0] ?? { x: 0, y: 0 }, -1];
  points.slice(1).forEach((end, index) => {
    const start = points[index] ?? end;
    const size = distance(start, end);
    if (size > length) [best, length] = [{ x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 }, size];
  });
  return best;
}

/** An SVG path through the points, with rounded corners. */
export function routePath(points: readonly Point[], radius = 14): string {
  const [first, ...rest] = points;
  if (first === undefined) return "";
  let path = `M${first.x} ${first.y}`;
  rest.forEach((corner, index) => {
    const next = rest[index + 1];
    const before = points[index];
    if (next === undefined || before === undefined) {
      path += `L${corner.x} ${corner.y}`;
      return;
    }
    const size = Math.min(radius, distance(before, corner) / 2, distance(corner, next) / 2);
    const into = towards(corner, before, size);
    const out = towards(corner, next, size);
    path += `L${into.x} ${into.y}Q${corner.x} ${corner.y} ${out.x} ${out.y}`;
  });
  return path;
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}

function towards(from: Point, to: Point, length: number): Point {
  const whole = distance(from, to);
  if (whole === 0) return from;
  const share = length / whole;
  return { x: round(from.x + (to.x - from.x) * share), y: round(from.y + (to.y - from.y) * share) };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
