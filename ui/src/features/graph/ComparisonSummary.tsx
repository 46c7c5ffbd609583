/** How many edges changed since when, and which changes of the configuration were made meanwhile. */
import { Link } from "react-router";
import type { TrafficGraph } from "../../api/client";
import { useLanguage } from "../../app/language";
import { formatWhen } from "../../domain/format";
import { ChangeLink, touchedEdges } from "./ChangesBeside";

const KINDS = ["failing", "slower", "new", "gone", "recovered", "faster"] as const;
const MOST_NAMED = 4;

export function ComparisonSummary({ graph }: { graph: TrafficGraph }) {
  const { t, language } = useLanguage();
  const { comparison } = graph;
  if (comparison === undefined) return null;
  const changes = Object.values(comparison.edges);
  const counts = KINDS.map((kind) => [kind, changes.filter((change) => change.kinds.includes(kind)).length] as const).filter(([, count]) => count > 0);
  const made = comparison.changes.map((change) => ({ change, touched: touchedEdges(comparison, change.id) })).toSorted((a, b) => b.touched - a.touched);
  return (
    <div className="notice comparison">
      <p className="comparison-counts" role="status">
        <span>{t("comparedWith", { time: formatWhen(comparison.baseline, language) })}</span>
        {counts.length === 0 && <span>{t("nothingChanged")}</span>}
        {counts.map(([kind, count]) => (
          <span key={kind} className={`change change-${kind}`}>
            {t(`change.${kind}`)} {count}
          </span>
        ))}
      </p>
      {made.length > 0 && (
        <ul className="beside" aria-label={t("changesMarked")}>
          <li>
            <Link to={`/changes?from=${comparison.baseline}&to=${graph.timestamp}`}>{t("changesBetween", { count: made.length })}</Link>
          </li>
          {made.slice(0, MOST_NAMED).map(({ change, touched }) => (
            <li key={change.id}>
              <ChangeLink change={change} /> <span className="soft">· {t(touched === 0 ? "touchesNone" : "touchesEdges", { count: touched })}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
