/** How many edges changed, and since when. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { fetchChanges, type TrafficGraph } from "../../api/client";
import { useLanguage } from "../../app/language";
import { formatClock } from "../../domain/format";

const KINDS = ["failing", "slower", "new", "gone", "recovered", "faster"] as const;

export function ComparisonSummary({ graph }: { graph: TrafficGraph }) {
  const { t, language } = useLanguage();
  const { comparison } = graph;
  const between = { from: comparison?.baseline, to: graph.timestamp };
  const made = useQuery({
    queryKey: ["changes", between],
    queryFn: ({ signal }) => fetchChanges(between, signal),
    enabled: comparison !== undefined,
    staleTime: 10_000,
  }).data?.items;
  if (comparison === undefined) return null;
  const changes = Object.values(comparison.edges);
  const counts = KINDS.map((kind) => [kind, changes.filter((change) => change.kinds.includes(kind)).length] as const).filter(([, count]) => count > 0);
  return (
    <p className="notice comparison" role="status">
      <span>{t("comparedWith", { time: formatClock(comparison.baseline, language) })}</span>
      {counts.length === 0 && <span>{t("nothingChanged")}</span>}
      {counts.map(([kind, count]) => (
        <span key={kind} className={`change change-${kind}`}>
          {t(`change.${kind}`)} {count}
        </span>
      ))}
      {made !== undefined && made.length > 0 && (
        <Link to={`/changes?from=${comparison.baseline}&to=${graph.timestamp}`}>{t("changesBetween", { count: made.length })}</Link>
      )}
    </p>
  );
}
