/** Health is told by shape and word as well as by colour. */
import type { HealthStatus } from "../api/client";
import { useText } from "../app/language";

/** The mark alone, for use inside of an SVG: a tick, a triangle, a cross, a bar, or a hollow ring. */
export function HealthShape({ status, x, y }: { status: HealthStatus; x: number; y: number }) {
  return (
    <g className={`mark mark-${status}`} transform={`translate(${x} ${y})`}>
      {status === "degraded" ? <path className="mark-base" d="M0-8.5 9 7H-9Z" /> : <circle className="mark-base" r={8} />}
      {status === "healthy" && <path className="mark-sign" d="M-3.6.2-1 2.8 3.8-2.6" />}
      {status === "degraded" && <path className="mark-sign" d="M0-2.600V1.800M0 4.600v.1" />}
      {status === "failure" && <path className="mark-sign" d="M-3-3 3 3M3-3-3 3" />}
      {status === "notReady" && <path className="mark-sign" d="M-1.8-3V3M1.8-3V3" />}
    </g>
  );
}

/** The mark before a word. */
export function HealthMark({ status }: { status: HealthStatus }) {
  return (
    <svg width="18" height="18" viewBox="-10 -10 20 20" aria-hidden="true">
      <HealthShape status={status} x={0} y={0} />
    </svg>
  );
}

/** Without metrics nobody knows whether there was traffic, so that is not claimed. */
export function HealthLabel({ status, measured = true }: { status: HealthStatus; measured?: boolean }) {
  const t = useText();
  return (
    <span className={`health health-${status}`}>
      <HealthMark status={status} />
      {status === "idle" && !measured ? t("notMeasured") : t(`health.${status}`)}
    </span>
  );
}
