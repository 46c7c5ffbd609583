import { useCallback, useMemo, useState } from "react";
import type { Layout } from "../../domain/layout";
import { keepPins, readPins, withPins, type Parts, type Pins } from "../../domain/pins";

export interface PinControl {
  layout: Layout;
  pins: Pins;
  /** Move a card by some units of the drawing, which pins it. */
  move: (id: string, dx: number, dy: number) => void;
  /** Pin a card where it is, or release it. */
  toggle: (id: string) => void;
  releaseAll: () => void;
}

/** The arrangement of a scope, kept in this browser, and the layout with it. */
export function usePins(scope: string, laidOut: Layout, topology: Parts): PinControl {
  const [kept, setKept] = useState(() => ({ scope, pins: readPins(scope) }));
  const current = kept.scope === scope ? kept : { scope, pins: readPins(scope) };
  if (current !== kept) setKept(current);
  const { pins } = current;
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
