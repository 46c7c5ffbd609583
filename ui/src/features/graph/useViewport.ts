/** Panning and zooming: wheel, pinch, drag and keys. Fits the graph until the user moves it. */
import { useCallback, useEffect, useRef, useState, type RefObject } from "react";

export interface Viewport {
  x: number;
  y: number;
  scale: number;
}

const SMALLEST = 0.04;
const LARGEST = 2.5;

export interface ViewportControl {
  viewport: Viewport;
  size: { width: number; height: number };
  zoomBy: (factor: number) => void;
  fit: () => void;
  centre: (x: number, y: number) => void;
}

/** What is drawn of another `scope` is fitted anew. `drag` is told of cards that are drawn along, in units of the drawing. */
export function useViewport(place: RefObject<HTMLDivElement | null>, scope: string, width: number, height: number, drag: (id: string, dx: number, dy: number) => void): ViewportControl {
  const [viewport, setViewport] = useState<Viewport>({ x: 0, y: 0, scale: 1 });
  const [size, setSize] = useState({ width: 0, height: 0 });
  const moved = useRef(false);
  const dragging = useRef({ drag, scale: viewport.scale });
  useEffect(() => {
    dragging.current = { drag, scale: viewport.scale };
  });

  const fitted = useCallback((): Viewport => {
    const margin = 40;
    const scale = Math.min(1.15, (size.width - margin) / width, (size.height - margin) / height);
    const bounded = Math.max(SMALLEST, Number.isFinite(scale) ? scale : 1);
    return { scale: bounded, x: (size.width - width * bounded) / 2, y: (size.height - height * bounded) / 2 };
  }, [size, width, height]);

  const zoomAt = useCallback((factor: number, x: number, y: number) => {
    moved.current = true;
    setViewport((old) => {
      const scale = Math.min(LARGEST, Math.max(SMALLEST, old.scale * factor));
      const ratio = scale / old.scale;
      return { scale, x: x - (x - old.x) * ratio, y: y - (y - old.y) * ratio };
    });
  }, []);

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, [place]);

  const fittedFor = useRef(scope);
  useEffect(() => {
    if (fittedFor.current !== scope) moved.current = false;
    fittedFor.current = scope;
    if (!moved.current && size.width > 0 && width > 0) setViewport(fitted());
  }, [scope, fitted, size, width]);

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    return listenForGestures(element, {
      pan: (dx, dy) => {
        moved.current = true;
        setViewport((old) => ({ ...old, x: old.x + dx, y: old.y + dy }));
      },
      zoomAt,
      drag: (id, dx, dy) => {
        moved.current = true; // What is drawn along must not be fitted into view meanwhile.
        const { drag, scale } = dragging.current;
        drag(id, dx / scale, dy / scale);
      },
    });
  }, [place, zoomAt]);

  return {
    viewport,
    size,
    zoomBy: (factor) => zoomAt(factor, size.width / 2, size.height / 2),
    fit: () => {
      moved.current = false;
      setViewport(fitted());
    },
    centre: (x, y) => {
      moved.current = true;
      setViewport((old) => {
        const scale = Math.max(old.scale, 0.8);
        return { scale, x: size.width / 2 - x * scale, y: size.height / 2 - y * scale };
      });
    },
  };
}

/** Pixels that a hand moves between pressing and letting go. */
const MOST_TREMBLING = 6;

interface Gestures {
  pan: (dx: number, dy: number) => void;
  zoomAt: (factor: number, x: number, y: number) => void;
  drag: (id: string, dx: number, dy: number) => void;
}

function listenForGestures(element: HTMLElement, gestures: Gestures): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  let dragged = 0;
  let grabbed: { id: string; x: number; y: number } | null = null;
  const inside = (x: number, y: number) => {
    const frame = element.getBoundingClientRect();
    return { x: x - frame.left, y: y - frame.top };
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const at = inside(event.clientX, event.clientY);
    gestures.zoomAt(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)), at.x, at.y);
  };
  const down = (event: PointerEvent) => {
    dragged = 0;
    const card = event.button === 0 && event.target instanceof Element ? event.target.closest<SVGElement>("[data-node]") : null;
    grabbed = card?.dataset["node"] === undefined ? null : { id: card.dataset["node"], x: event.clientX, y: event.clientY };
    if (event.button === 0 || event.button === 1) pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  };
  const move = (event: PointerEvent) => {
    const last = pointers.get(event.pointerId);
    if (last === undefined) return;
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const now = { x: event.clientX, y: event.clientY };
    pointers.set(event.pointerId, now);
    dragged += Math.hypot(now.x - last.x, now.y - last.y);
    if (other === undefined && grabbed !== null) {
      if (dragged <= MOST_TREMBLING) return;
      gestures.drag(grabbed.id, now.x - grabbed.x, now.y - grabbed.y);
      grabbed = { ...grabbed, ...now };
    } else if (other === undefined) {
      gestures.pan(now.x - last.x, now.y - last.y);
    } else {
      const before = Math.hypot(last.x - other.x, last.y - other.y);
      const middle = inside((now.x + other.x) / 2, (now.y + other.y) / 2);
      if (before > 0) gestures.zoomAt(Math.hypot(now.x - other.x, now.y - other.y) / before, middle.x, middle.y);
    }
  };
  const up = (event: PointerEvent) => pointers.delete(event.pointerId);
  // What lies under the pointer moves with it, so that a drag ends as a click on it: it was not meant.
  const click = (event: MouseEvent) => {
    if (dragged <= MOST_TREMBLING || event.detail === 0) return; // A click of the keyboard has no count.
    event.stopPropagation();
    event.preventDefault();
  };
  const key = (event: KeyboardEvent) => {
    const steps: Record<string, [number, number]> = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    const step = steps[event.key];
    if (step !== undefined && event.target === element) {
      event.preventDefault();
      gestures.pan(...step);
    } else if (event.key === "+" || event.key === "-") {
      gestures.zoomAt(event.key === "+" ? 1.2 : 1 / 1.2, element.clientWidth / 2, element.clientHeight / 2);
    }
  };
  element.addEventListener("wheel", wheel, { passive: false });
  element.addEventListener("pointerdown", down);
  element.addEventListener("click", click, { capture: true });
  element.addEventListener("keydown", key);
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", up);
  window.addEventListener("pointercancel", up);
  return () => {
    element.removeEventListener("wheel", wheel);
    element.removeEventListener("pointerdown", down);
    element.removeEventListener("click", click, { capture: true });
    element.removeEventListener("keydown", key);
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", up);
    window.removeEventListener("pointercancel", up);
  };
}
