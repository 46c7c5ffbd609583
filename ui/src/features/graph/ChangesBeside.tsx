/** What a comparison says of a node or an edge: its numbers then and now, and the configuration changes beside it. */
import { Link } from "react-router";
import type { Change, Comparison, ConfigChange, Touch } from "../../api/client";
import "../../app/marks.css";
import { useLanguage, useText } from "../../app/language";
import { formatWhen, formatMilliseconds, formatShare } from "../../domain/format";
import { markAddress } from "../../domain/marks";
import { shortAuthor } from "../../shared/ChangeMarks";
import { changeText, mainKind } from "./changes";
import { byteRateText, rateText } from "./words";

/** The changes that touch an edge, each with its reason. */
export function changesBeside(comparison: Comparison, edge: string): { change: ConfigChange; reason: Touch["reason"] }[] {
  return (comparison.beside[edge] ?? []).flatMap(({ change: id, reason }) => {
    const change = comparison.changes.find((item) => item.id === id);
    return change === undefined ? [] : [{ change, reason }];
  });
}

/** Kind and name, leading to the difference. */
export function ChangeLink({ change }: { change: ConfigChange }) {
  const { t } = useLanguage();
  return (
    <>
      <Link to={markAddress([change])}>
        {change.kind} {change.name}
      </Link>{" "}
      {t(`operation.${change.operation}`)}
    </>
  );
}

/** How many edges a change touches, of those that differ. */
export function touchedEdges(comparison: Comparison, change: string): number {
  return Object.values(comparison.beside).filter((touches) => touches.some((touch) => touch.change === change)).length;
}

interface Properties {
  comparison: Comparison;
  change: Change | undefined;
  /** Of edges: changes are held against them. */
  edge?: string;
}

export function ComparisonSection({ comparison, change, edge }: Properties) {
  const { t, language } = useLanguage();
  const beside = edge === undefined ? [] : changesBeside(comparison, edge);
  return (
    <section className="comparison-section">
      <h3>{t("comparedTitle", { time: formatWhen(comparison.baseline, language) })}</h3>
      {change === undefined ? <p className="soft">{t("sameAsBefore")}</p> : <p className={`change change-${mainKind(change)}`}>{changeText(change, t)}</p>}
      {change !== undefined && <Figures change={change} />}
      {edge !== undefined && change !== undefined && (
        <>
          <h4>{t("besideTitle")}</h4>
          {beside.length === 0 && <p className="soft">{t("besideNone", { count: comparison.changes.length })}</p>}
          <ul className="beside">
            {beside.map(({ change: made, reason }) => (
              <li key={made.id}>
                <ChangeLink change={made} />
                <br />
                <span className="soft">
                  {formatWhen(made.time, language)} · {shortAuthor(made.author)} · {t(`touch.${reason}`)}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function Figures({ change: { before, after } }: { change: Change }) {
  const t = useText();
  const http = (before?.requestsPerSecond ?? 0) + (after?.requestsPerSecond ?? 0) > 0;
  const rows: [string, (figures: NonNullable<Change["before"]>) => string][] = [
    ...(http
      ? ([
          [t("requests"), (figures) => rateText(figures.requestsPerSecond, t)],
          [t("errors"), (figures) => formatShare(figures.errorRatio)],
          ["p95", (figures) => formatMilliseconds(figures.p95Milliseconds)],
        ] satisfies [string, (figures: NonNullable<Change["before"]>) => string][])
      : []),
    [t("throughput"), (figures) => byteRateText(figures.bytesPerSecond, t)],
  ];
  return (
    <table className="small">
      <thead>
        <tr>
          <td />
          <th scope="col" className="number">{t("figuresBefore")}</th>
          <th scope="col" className="number">{t("figuresAfter")}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([name, told]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td className="number">{before === null ? "–" : told(before)}</td>
            <td className="number">{after === null ? "–" : told(after)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
