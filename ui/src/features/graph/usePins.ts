import { useCallback, useEffect, useMemo, useState } from "react";
import type { Layout } from "../../domain/layout";
import { keepPins, readPins, withPins, writePlaces, type Parts, type Pins } from "../../domain/pins";

export interface PinControl {
  layout: Layout;
  pins: Pins;
  /** Move a card by some units of the drawing, which pins it. */
  move: (id: string, dx: number, dy: number) => void;
  /** Pin a card where it is, or release it. */
  toggle: (id: string) => void;
  releaseAll: () => void;
}

/** A drag moves a card at every frame. */
const QUIET_MILLISECONDS = 400;

/**
 * The arrangement of a scope, kept in this browser, and the layout with it. A link that names one shows that; `tell` is
 * told what a link to what is shown must name (null: not now).
 */
export function usePins(scope: string, linked: Pins, tell: ((pins: Pins) => void) | null, laidOut: Layout, topology: Parts): PinControl {
  const begin = () => ({ scope, pins: Object.keys(linked).length > 0 ? linked : readPins(scope) });
  const [kept, setKept] = useState(begin);
  const current = kept.scope === scope ? kept : begin();
  if (current !== kept) setKept(current);
  const { pins } = current;
  const [told, shown] = [writePlaces(linked), writePlaces(pins)];
  useEffect(() => {
    if (tell === null || told === shown) return;
    const timer = setTimeout(() => tell(pins), QUIET_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [told, shown, pins, tell]);
  const layout = useMemo(() => withPins(laidOut, pins, topology), [laidOut, pins, topology]);
  const change = useCallback(
    (make: (pins: Pins) => Pins) =>
      setKept((known) => {
        const changed = make(known.pins);
        keepPins(known.scope, changed);
        return { scope: known.scope, pins: changed };
      }),
    [],
  );
  const move = useCallback(
    (id: string, dx: number, dy: number) =>
      change((known) => {
        const box = laidOut.nodes.get(id);
        const [x, y] = known[id] ?? [box?.x ?? 0, box?.y ?? 0];
        return { ...known, [id]: [x + dx, y + dy] };
      }),
    [change, laidOut],
  );
  const toggle = useCallback(
    (id: string) =>
      change((known) => {
        const box = laidOut.nodes.get(id);
        if (known[id] === undefined) return box === undefined ? known : { ...known, [id]: [box.x, box.y] };
        return Object.fromEntries(Object.entries(known).filter(([other]) => other !== id));
      }),
    [change, laidOut],
  );
  const releaseAll = useCallback(() => change(() => ({})), [change]);
  return { layout, pins, move, toggle, releaseAll };
}
