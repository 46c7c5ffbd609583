/** Changes of the configuration on a time plot: a link at each moment, which tells what, who and when, and leads to the difference. */
import { Link } from "react-router";
import type { ConfigChange } from "../api/client";
import "../app/marks.css";
import { useLanguage } from "../app/language";
import type { TextKey } from "../app/texts";
import { formatWhen } from "../domain/format";
import { markAddress, placeMarks } from "../domain/marks";

interface Properties {
  changes: readonly ConfigChange[];
  first: number;
  last: number;
  /** Where the plot's own area is in its frame, in pixels; all of it without it. */
  area?: PlotArea | undefined;
}

export interface PlotArea {
  left: number;
  right: number;
  top: number;
  height: number;
}

const WHOLE = { left: 0, right: 0, top: 0, bottom: 0 };

export function ChangeMarks({ changes, first, last, area }: Properties) {
  const { t, language } = useLanguage();
  const marks = placeMarks(changes, first, last);
  if (marks.length === 0) return null;
  const text = (change: ConfigChange) =>
    t("markedChange", {
      time: formatWhen(change.time, language),
      name: `${change.kind} ${change.namespace}/${change.name}`,
      operation: t(`operation.${change.operation}` as TextKey),
      author: shortAuthor(change.author),
    });
  return (
    <ul className="change-marks" style={area === undefined ? WHOLE : { left: area.left, right: area.right, top: area.top, height: area.height }} aria-label={t("changesMarked")}>
      {marks.map((mark) => (
        <li key={mark.changes[0]?.id} style={{ left: `${mark.share * 100}%` }} className={mark.share > 0.5 ? "change-mark late" : "change-mark"}>
          <Link to={markAddress(mark.changes)}>
            <span className="hidden">{mark.changes.map(text).join("; ")}</span>
            <span className="sign" aria-hidden="true">{mark.changes.length > 1 ? mark.changes.length : "◆"}</span>
          </Link>
          <span className="change-told" aria-hidden="true">
            {mark.changes.map((change) => (
              <span key={change.id}>{text(change)}</span>
            ))}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Service accounts are long: what they all begin with tells nothing. */
export function shortAuthor(author: string): string {
  return author.replace("system:serviceaccount:", "");
}
