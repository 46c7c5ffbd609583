/** A small set of line icons, drawn on a 24×24 grid in the current colour. Decoration: always beside a text. */

const PATHS = {
  graph: "M5 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4Zm14 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM7 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM6.9 6.7 17.1 11.300M17.2 12.9 8.8 17.2",
  cluster: "M12 3 20 7.500v9L12 21l-8-4.500v-9L12 3ZM12 8.500v7M8.800 10.200l6.400 3.600M15.200 10.200l-6.400 3.600",
  pod: "M12 4.500 18.500 8v8L12 19.500 5.500 16V8L12 4.500ZM12 10.500a1.500 1.500 0 1 0 0 3 1.500 1.500 0 0 0 0-3Z",
  workload: "M12 3 20 7.500v9L12 21l-8-4.500v-9L12 3Zm0 9 8-4.500M12 12v9M12 12 4 7.5",
  app: "M4 5.500A1.5 1.5 0 0 1 5.5 4h4A1.5 1.5 0 0 1 11 5.500v4A1.5 1.5 0 0 1 9.5 11h-4A1.5 1.5 0 0 1 4 9.500v-4ZM13 14.500a1.5 1.5 0 0 1 1.5-1.500h4a1.5 1.5 0 0 1 1.5 1.500v4a1.5 1.5 0 0 1-1.5 1.500h-4a1.5 1.5 0 0 1-1.5-1.500v-4ZM16.5 4v7M13 7.500h7M7.5 13v7M4 16.500h7",
  service: "M12 5a3 3 0 1 0 0 .01ZM5.5 19a2.5 2.5 0 1 0 0-.01ZM18.5 19a2.5 2.5 0 1 0 0-.01ZM12 8v4M12 12l-5 4.700M12 12l5 4.7",
  gateway: "M4 20V10a8 8 0 0 1 16 0v10M9 20v-9a3 3 0 0 1 6 0v9M2.5 20h19",
  namespace: "M4 5h16v14H4V5Zm0 4.500h16M7.5 13h4v3h-4v-3Zm6.500 0h3M14 16h3",
  unknown: "M9 9a3 3 0 1 1 4.5 2.600c-1 .6-1.5 1.2-1.5 2.400M12 17.500v.01M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z",
  passthrough: "M4 12h15M14 6.5 19.5 12 14 17.500M4 6v12",
  blackhole: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM5.8 5.800l12.4 12.4",
  config: "M4 7h9M17 7h3M4 17h3M11 17h9M15 7a2 2 0 1 0 .01 0ZM9 17a2 2 0 1 0 .01 0Z",
  language: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3.5 9h17M3.5 15h17M12 3c2.5 2.7 3.7 5.7 3.7 9s-1.2 6.3-3.7 9c-2.5-2.7-3.7-5.7-3.7-9S9.5 5.7 12 3Z",
  theme: "M12 3a9 9 0 1 0 9 9c-1.3 1.3-3 2-4.5 2A6.5 6.5 0 0 1 12 3Z",
  logOut: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6v-9Z",
  unlock: "M7 11V8a5 5 0 0 1 9.6-2M6 11h12v9H6v-9Z",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.500v15l12-7.5-12-7.500Z",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  pin: "M9 3.500h6M10 3.500v6l-3.500 4.500h11L14 9.500v-6M12 14v7",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM16 16l4.5 4.5",
  close: "M6 6l12 12M18 6 6 18",
  chevron: "M6 9l6 6 6-6",
  back: "M15 5l-7 7 7 7",
  forward: "M9 5l7 7-7 7",
  table: "M4 5h16v14H4V5Zm0 5h16M4 14.500h16M10 5v14",
  warning: "M12 4 2.5 20h19L12 4Zm0 6v4.500M12 17.300v.01",
  arrow: "M4 12h15M13 6l6 6-6 6",
  split: "M4 12h5c4 0 4-6 8-6h3M9 12c4 0 4 6 8 6h3M17.5 3.5 20 6l-2.5 2.500M17.5 15.5 20 18l-2.5 2.5",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM12 7v5.500l3.5 2",
  bolt: "M13 3 5 13.500h6L10 21l9-11.500h-6.500L13 3Z",
  retry: "M19 8a8 8 0 1 0 1 5M20 3v5h-5",
  mirror: "M12 3v18M9 7 4 17h5V7ZM15 7l5 10h-5V7Z",
  route: "M6 19a2 2 0 1 0 0-.01ZM18 5a2 2 0 1 0 0 .01ZM8 19h7a3.5 3.5 0 0 0 0-7H9a3.5 3.5 0 0 1 0-7h7",
  globe: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18ZM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
  skull: "M8 17v3h8v-3a8 8 0 1 0-8 0ZM9 11v.01M15 11v.01",
  bare: "M12 3 20 7.500v9L12 21l-8-4.500v-9L12 3ZM3 3l18 18",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** For use inside of another SVG, at a place. */
export function InnerIcon({ name, x, y, size }: { name: IconName; x: number; y: number; size: number }) {
  return <path className="icon" d={PATHS[name]} transform={`translate(${x} ${y}) scale(${size / 24})`} />;
}

export function Sailboat() {
  return (
    <svg className="icon" width="30" height="30" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M12 3v12M12 4c4 2 6 6 6.5 11H12M10 7c-2.5 2-4 5-4.5 8H10M3 18h18c-1 2-3 3-5 3H8c-2 0-4-1-5-3Z" />
    </svg>
  );
}

export const BADGE_ICONS: Record<string, IconName> = {
  virtualService: "route",
  trafficSplit: "split",
  faultInjection: "bolt",
  mirroring: "mirror",
  timeout: "clock",
  retries: "retry",
  circuitBreaker: "bolt",
  missingSidecar: "bare",
  plaintext: "unlock",
  dead: "skull",
  external: "globe",
};
