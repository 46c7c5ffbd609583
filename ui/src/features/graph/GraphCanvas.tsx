/** The drawing: SVG, so that text stays sharp, every node can be reached by key, and screen readers can read it. */
import { memo, useEffect, useMemo, useRef } from "react";
import type { GraphEdge, GraphNode, TrafficGraph } from "../../api/client";
import { useText } from "../../app/language";
import type { EdgeLabel, Selection } from "../../domain/address";
import type { Box, Layout } from "../../domain/layout";
import type { Finder } from "../../domain/find";
import type { Pins } from "../../domain/pins";
import { edgeShares, shorten } from "../../domain/names";
import { Icon } from "../../shared/icons";
import { EdgeLine } from "./EdgeLine";
import { NodeCard } from "./NodeCard";
import { usePins } from "./usePins";
import { useViewport, type Viewport } from "./useViewport";
import { edgeText, fullName } from "./words";

interface Properties {
  graph: TrafficGraph;
  layout: Layout;
  /** Whose arrangement is kept: `scopeOf`. */
  scope: string;
  /** The pins that the address names, and how it is told of others. */
  linked: Pins;
  onPins: ((pins: Pins) => void) | null;
  label: EdgeLabel;
  motion: boolean;
  finder: Finder | null;
  selection: Selection;
  onSelect: (selection: Selection) => void;
  /** Look inside of a node, which a double click asks for. */
  onOpen: (node: GraphNode) => void;
}

/** Of two clicks that are one: the time between them, and how far apart in pixels. */
const DOUBLE_CLICK = { milliseconds: 450, pixels: 8 };

/** Above this many nodes only what is in view is drawn. */
const MANY_NODES = 150;

export function GraphCanvas({ graph, layout: laidOut, scope, linked, onPins, label, motion, finder, selection, onSelect, onOpen }: Properties) {
  const t = useText();
  const { layout, pins, move, toggle, releaseAll } = usePins(scope, linked, onPins, laidOut, graph);
  const pinned = Object.keys(pins).filter((id) => layout.nodes.has(id)).length;
  const place = useRef<HTMLDivElement>(null);
  const pressed = useRef({ x: 0, y: 0 });
  const clicked = useRef<{ id: string | undefined; x: number; y: number; time: number } | null>(null);
  const control = useViewport(place, scope, layout.width, layout.height, move);
  const { viewport, size } = control;
  const emphasis = useEmphasis(graph, finder, selection);

  const centre = useRef(control.centre);
  useEffect(() => {
    centre.current = control.centre;
  });
  const firstFound = finder === null ? undefined : graph.nodes.find(finder.node)?.id;
  const shown = useRef({ scope, firstFound });
  useEffect(() => {
    const before = shown.current;
    shown.current = { scope, firstFound };
    // At first, and at another zoom, everything is fitted into view, what is found as well.
    if (before.scope !== scope || before.firstFound === firstFound) return;
    const box = firstFound === undefined ? undefined : layout.nodes.get(firstFound);
    if (box !== undefined) centre.current(box.x + box.width / 2, box.y + box.height / 2);
  }, [scope, firstFound, layout]);

  const far = viewport.scale < 0.4;
  const many = graph.nodes.length > MANY_NODES;
  const simple = far && many;
  const region = useRegion(viewport, size, many);
  return (
    <div
      className={`canvas${far ? " far" : ""}${motion && !many ? " moving" : ""}${graph.comparison === undefined ? "" : " compared"}`}
      ref={place}
      tabIndex={0}
      role="region"
      aria-label={t("graph")}
      onPointerDown={(event) => {
        pressed.current = { x: event.clientX, y: event.clientY };
      }}
      onClick={(event) => {
        const dragged = Math.hypot(event.clientX - pressed.current.x, event.clientY - pressed.current.y) > 4;
        // The first click opens the panel, under which the drawing moves: the second one may come to anything.
        const [first, { clientX: x, clientY: y, timeStamp: time }] = [clicked.current, event];
        const twice = first !== null && time - first.time < DOUBLE_CLICK.milliseconds && Math.hypot(x - first.x, y - first.y) < DOUBLE_CLICK.pixels;
        const id = event.target instanceof Element ? event.target.closest<SVGElement>("[data-node]")?.dataset["node"] : undefined;
        clicked.current = dragged || twice || event.detail === 0 ? null : { id, x, y, time };
        const opened = twice ? graph.nodes.find((node) => node.id === first.id) : undefined;
        if (opened !== undefined) {
          onOpen(opened);
          return;
        }
        if (!dragged && event.target instanceof SVGElement && event.target.closest("[role=button]") === null) onSelect(null);
      }}
    >
      <svg className="drawing" width="100%" height="100%">
        <Markers />
        <g transform={`translate(${viewport.x} ${viewport.y}) scale(${viewport.scale})`}>
          <Drawing graph={graph} layout={layout} label={label} simple={simple} region={region} emphasis={emphasis} selection={selection} pins={pins} onMove={move} onPin={toggle} onSelect={onSelect} />
        </g>
      </svg>
      <div className="canvas-tools">
        <button type="button" className="icon-button" onClick={() => control.zoomBy(1.3)} aria-label={t("zoomIn")} title={t("zoomIn")}>
          <Icon name="plus" />
        </button>
        <button type="button" className="icon-button" onClick={() => control.zoomBy(1 / 1.3)} aria-label={t("zoomOut")} title={t("zoomOut")}>
          <Icon name="minus" />
        </button>
        <button type="button" className="icon-button" onClick={control.fit} aria-label={t("fit")} title={t("fit")}>
          <Icon name="fit" />
        </button>
        {pinned > 0 && (
          <button type="button" className="icon-button" onClick={releaseAll} aria-label={t("releaseAll", { count: pinned })} title={t("releaseAll", { count: pinned })}>
            <Icon name="pin" />
          </button>
        )}
      </div>
    </div>
  );
}

interface DrawingProperties extends Pick<Properties, "graph" | "layout" | "label" | "selection" | "onSelect"> {
  simple: boolean;
  region: Region | null;
  emphasis: ReturnType<typeof useEmphasis>;
  pins: Pins;
  onMove: (id: string, dx: number, dy: number) => void;
  onPin: (id: string) => void;
}

/** Everything that moves together. Panning moves the group around it, and draws nothing again until another region is seen. */
const Drawing = memo(function Drawing({ graph, layout, label, simple, region, emphasis, selection, pins, onMove, onPin, onSelect }: DrawingProperties) {
  const t = useText();
  const names = useMemo(() => new Map(graph.nodes.map((node) => [node.id, fullName(node, t)])), [graph, t]);
  const shares = useMemo(() => edgeShares(graph.edges), [graph]);
  const reach = useMemo(() => new Map([...layout.routes].map(([id, route]) => [id, bounds(route.points)])), [layout]);
  return (
    <>
      {layout.namespaces.map((box) => (
        <NamespaceBox key={box.id} box={box} />
      ))}
      {graph.edges.map((edge) => {
        const route = layout.routes.get(edge.id);
        const place = reach.get(edge.id);
        if (route === undefined || place === undefined || !isInside(place, region)) return null;
        return (
          <EdgeLine
            key={edge.id}
            edge={edge}
            route={route}
            ends={`${names.get(edge.source) ?? edge.source} → ${names.get(edge.target) ?? edge.target}`}
            change={graph.comparison?.edges[edge.id] ?? null}
            text={simple ? "" : edgeText(edge, label, shares, t)}
            simple={simple}
            selected={selection?.kind === "edge" && selection.id === edge.id}
            faded={!emphasis.edges(edge)}
            onSelect={onSelect}
          />
        );
      })}
      {graph.nodes.map((node) => {
        const box = layout.nodes.get(node.id);
        if (box === undefined || !isInside(box, region)) return null;
        return (
          <NodeCard
            key={node.id}
            node={node}
            box={box}
            simple={simple}
            change={graph.comparison?.nodes[node.id] ?? null}
            selected={selection?.kind === "node" && selection.id === node.id}
            faded={!emphasis.nodes(node)}
            pinned={pins[node.id] !== undefined}
            onMove={onMove}
            onPin={onPin}
            onSelect={onSelect}
          />
        );
      })}
    </>
  );
});

interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** What is in view and somewhat around it, in steps: the same object for as long as the step is the same. Null is everything. */
function useRegion(viewport: Viewport, size: { width: number; height: number }, many: boolean): Region | null {
  const step = 512 / 2 ** Math.floor(Math.log2(viewport.scale));
  const first = (offset: number) => (Math.floor(-offset / viewport.scale / step) - 0.5) * step;
  const last = (offset: number, length: number) => (Math.ceil((length - offset) / viewport.scale / step) + 0.5) * step;
  const [left, top, right, bottom] = [first(viewport.x), first(viewport.y), last(viewport.x, size.width), last(viewport.y, size.height)];
  return useMemo(() => (many ? { left, top, right, bottom } : null), [many, left, top, right, bottom]);
}

/** What stands out: found nodes; else the selected thing with its neighbours; else everything. */
function useEmphasis(graph: TrafficGraph, finder: Finder | null, selection: Selection) {
  return useMemo(() => {
    if (finder !== null) {
      const found = new Set(graph.nodes.filter(finder.node).map((node) => node.id));
      const edges = new Set(graph.edges.filter((edge) => finder.edge(edge) || (!finder.aboutTraffic && found.has(edge.source) && found.has(edge.target))));
      const ends = new Set([...edges].flatMap((edge) => [edge.source, edge.target]));
      return {
        nodes: (node: GraphNode) => found.has(node.id) || ends.has(node.id),
        edges: (edge: GraphEdge) => edges.has(edge),
      };
    }
    const chosen = graph.edges.filter((edge) =>
      selection?.kind === "edge" ? edge.id === selection.id : edge.source === selection?.id || edge.target === selection?.id,
    );
    const ends = new Set([selection?.id, ...chosen.flatMap((edge) => [edge.source, edge.target])]);
    const known = chosen.length > 0 || graph.nodes.some((node) => node.id === selection?.id);
    return {
      nodes: (node: GraphNode) => selection === null || !known || ends.has(node.id),
      edges: (edge: GraphEdge) => selection === null || !known || chosen.includes(edge),
    };
  }, [graph, finder, selection]);
}

const NamespaceBox = memo(function NamespaceBox({ box }: { box: Box }) {
  const shortened = shorten(box.id, Math.floor((box.width - 40) / 7.8));
  return (
    <g className="namespace">
      <rect x={box.x} y={box.y} width={box.width} height={box.height} rx={16} />
      {shortened !== box.id && <title>{box.id}</title>}
      <text x={box.x + 20} y={box.y + 27}>
        {shortened}
      </text>
    </g>
  );
});

function Markers() {
  return (
    <defs>
      {["healthy", "degraded", "failure", "tcp"].map((kind) => (
        <marker key={kind} id={`arrow-${kind}`} className={`arrow arrow-${kind}`} viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M0 .8 10 5 0 9.2Z" />
        </marker>
      ))}
    </defs>
  );
}

function bounds(points: readonly { x: number; y: number }[]) {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

function isInside(box: { x: number; y: number; width: number; height: number }, region: Region | null): boolean {
  return region === null || (box.x < region.right && box.x + box.width > region.left && box.y < region.bottom && box.y + box.height > region.top);
}
