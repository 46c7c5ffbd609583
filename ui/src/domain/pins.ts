/** Cards that somebody has put in a place: they stay there, whatever is laid out around them, until they are released. */
import { directRoute, type Box, type Layout, type Route, type Topology } from "./layout";

/** The upper left corner of each pinned card, by node. */
export type Pins = Readonly<Record<string, readonly [number, number]>>;

export interface Parts {
  nodes: readonly { id: string; namespace: string }[];
  edges: Topology["edges"];
}

const KEY = "kaiki.pins";
/** Of the graphs that were arranged last; and of each, this many cards. */
const MOST_SCOPES = 20;
const MOST_PINS = 500;
/** Addresses of more than some thousand letters do not pass everywhere. */
const MOST_IN_ADDRESS = 50;
const PADDING = 22;
const HEADING = 44;

/** Which graphs share an arrangement. */
export const scopeOf = (graphType: string, namespaces: readonly string[], direction: string): string => [graphType, direction, ...[...namespaces].sort()].join(" ");

/** What was kept; nothing where that can't be read. */
export function readPins(scope: string): Pins {
  const found = allPins()[scope];
  return typeof found === "object" ? Object.fromEntries(Object.entries(found).filter(([, place]) => isPlace(place))) : {};
}

/** Keep the pins of a scope; those of the scopes that were not touched for longest go. */
export function keepPins(scope: string, pins: Pins): void {
  const others = Object.entries(allPins()).filter(([name]) => name !== scope);
  const own: [string, Pins][] = Object.keys(pins).length === 0 ? [] : [[scope, Object.fromEntries(Object.entries(pins).slice(-MOST_PINS))]];
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries([...others, ...own].slice(-MOST_SCOPES))));
  } catch {
    // Without storage an arrangement lasts as long as its page.
  }
}

/** As text for an address: `workload:shop/cart@120,-40;…`. */
export function writePlaces(pins: Pins): string {
  const places = Object.entries(pins).slice(-MOST_IN_ADDRESS);
  return places.map(([id, [x, y]]) => `${id}@${String(Math.round(x))},${String(Math.round(y))}`).join(";");
}

/** The reverse; what can't be read is left out. */
export function readPlaces(text: string): Pins {
  const places = text.split(";").map((one): [string, number[]] => {
    const at = one.lastIndexOf("@");
    return [one.slice(0, Math.max(0, at)), one.slice(at + 1).split(",").map((part) => (part === "" ? Number.NaN : Number(part)))];
  });
  return Object.fromEntries(places.filter((place): place is [string, [number, number]] => place[0] !== "" && isPlace(place[1])));
}

function allPins(): Record<string, Pins> {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Record<string, Pins>) : {};
  } catch {
    return {};
  }
}

const isPlace = (place: unknown): place is readonly [number, number] => Array.isArray(place) && place.length === 2 && place.every((part) => Number.isFinite(part));

/** The layout with pinned cards where they were put; their edges go straight there, their namespaces reach around them. */
export function withPins(layout: Layout, pins: Pins, { nodes, edges }: Parts): Layout {
  const moved = new Map<string, Box>();
  for (const [id, [x, y]] of Object.entries(pins)) {
    const box = layout.nodes.get(id);
    if (box !== undefined) moved.set(id, { ...box, x, y });
  }
  if (moved.size === 0) return layout;
  const boxes = new Map([...layout.nodes, ...moved]);
  const routes = new Map(layout.routes);
  for (const edge of edges) {
    if (!moved.has(edge.source) && !moved.has(edge.target)) continue;
    const route: Route | null = directRoute(edge, boxes);
    if (route !== null) routes.set(edge.id, route);
  }
  const namespaces = layout.namespaces.map((frame) => nodes.reduce((around, node) => include(around, node.namespace === frame.id ? moved.get(node.id) : undefined), frame));
  const ends = [...boxes.values(), ...namespaces];
  return {
    ...layout,
    nodes: boxes,
    namespaces,
    routes,
    width: Math.max(layout.width, ...ends.map((box) => box.x + box.width)),
    height: Math.max(layout.height, ...ends.map((box) => box.y + box.height)),
  };
}

function include(frame: Box, card: Box | undefined): Box {
  if (card === undefined) return frame;
  const [x, y] = [Math.min(frame.x, card.x - PADDING), Math.min(frame.y, card.y - HEADING)];
  const right = Math.max(frame.x + frame.width, card.x + card.width + PADDING);
  const bottom = Math.max(frame.y + frame.height, card.y + card.height + PADDING);
  return { ...frame, x, y, width: right - x, height: bottom - y };
}
