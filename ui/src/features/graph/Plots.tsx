/** The last ten minutes of a node or edge, asked again every five seconds while live. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { fetchPlot, type PlotSubject } from "../../api/client";
import { untilAnswered } from "../../api/queries";
import { useText } from "../../app/language";
import { formatBytes, formatNumber } from "../../domain/format";
import { useChangesWithin } from "./useChangesWithin";
import { durationText } from "./words";

const PlotView = lazy(() => import("../../shared/PlotView"));
const SPAN_SECONDS = 600;
const STEP_SECONDS = 5;
const MOST_POINTS = 180;

interface Properties {
  subject: PlotSubject;
  until: number | null;
  spanSeconds?: number;
  /** Where changes are marked from; all of them without it. Keep it the same array. */
  markedNamespaces?: readonly string[];
}

export function Plots({ subject, until, spanSeconds = SPAN_SECONDS, markedNamespaces }: Properties) {
  const t = useText();
  const { data, error } = useQuery({
    queryKey: ["plot", subject, until, spanSeconds],
    queryFn: ({ signal }) => {
      const end = until ?? Date.now() / 1000;
      return fetchPlot(subject, end - spanSeconds, end, Math.max(STEP_SECONDS, Math.ceil(spanSeconds / MOST_POINTS)), signal);
    },
    refetchInterval: until === null ? STEP_SECONDS * 1000 : untilAnswered,
    placeholderData: keepPreviousData,
  });
  const changes = useChangesWithin({ from: data?.times[0], until, spanSeconds, namespaces: markedNamespaces });
  if (error !== null) return <p className="soft">{error.message}</p>;
  if (data === undefined) return <p className="soft">{t("loading")}</p>;
  const rates = data.requestsPerSecond;
  const latency = data.latencyMilliseconds;
  const bytes = data.bytesPerSecond;
  const empty = [rates.success, bytes.sent, bytes.received].every((line) => line.every((value) => value === null));
  const has = (line: (number | null)[]) => line.some((value) => value !== null && value > 0);
  return (
    <section>
      <h3>{spanSeconds === SPAN_SECONDS && until === null ? t("history") : t("historyOf", { time: durationText(spanSeconds, t) })}</h3>
      {empty && <p className="soft">{t("noHistory")}</p>}
      <Suspense fallback={null}>
        {rates.success.some((value) => value !== null) && (
          <PlotView
            title={t("plot.requests")}
            times={data.times}
            changes={changes}
            format={formatNumber}
            lines={[
              { label: t("plot.success"), color: "--healthy", values: rates.success },
              ...(has(rates.clientError) ? [{ label: t("plot.clientError"), color: "--degraded", values: rates.clientError, dash: [6, 4] }] : []),
              ...(has(rates.serverError) ? [{ label: t("plot.serverError"), color: "--failure", values: rates.serverError, dash: [2, 3] }] : []),
            ]}
          />
        )}
        {has(latency.p50) && (
          <PlotView
            title={t("plot.latency")}
            times={data.times}
            changes={changes}
            format={formatNumber}
            lines={[
              { label: "p50", color: "--accent", values: latency.p50 },
              { label: "p95", color: "--plot-2", values: latency.p95, dash: [6, 4] },
              { label: "p99", color: "--plot-3", values: latency.p99, dash: [2, 3] },
            ]}
          />
        )}
        {(has(bytes.sent) || has(bytes.received)) && (
          <PlotView
            title={t("plot.bytes")}
            times={data.times}
            changes={changes}
            format={formatBytes}
            lines={[
              { label: t("sent"), color: "--accent", values: bytes.sent },
              { label: t("received"), color: "--plot-2", values: bytes.received, dash: [6, 4] },
            ]}
          />
        )}
      </Suspense>
    </section>
  );
}
