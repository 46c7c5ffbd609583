/** The reasons of a logged request in words, and the objects behind them. */
import { Link } from "react-router";
import type { LoggedRequest } from "../../api/client";
import { useText } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";

export function ReasonList({ reasons }: { reasons: LoggedRequest["reasons"] }) {
  const t = useText();
  if (reasons.length === 0) return <p>{t("noReason")}</p>;
  return (
    <ul className="request-reasons">
      {reasons.map((reason) => (
        <li key={reason.flag}>
          {reason.flag !== "" && <code>{reason.flag}</code>} {reason.text}
        </li>
      ))}
    </ul>
  );
}

export function ResponsibleList({ objects }: { objects: LoggedRequest["responsible"] }) {
  const t = useText();
  if (objects.length === 0) return null;
  return (
    <>
      <h3>{t("responsibleObject")}</h3>
      <ul className="request-reasons">
        {objects.map((one) => (
          <li key={`${one.kind}/${one.namespace}/${one.name}/${one.field}`}>
            <Link to={one.kind === "Service" ? "/services" : objectAddress(one, one.line ?? 0)}>
              {one.kind} {one.namespace}/{one.name}
            </Link>{" "}
            {one.field !== "" && <code>{one.field}</code>} {(one.line ?? 0) > 0 && t("explainLine", { line: one.line ?? 0 })} {one.text}
          </li>
        ))}
      </ul>
      <p className="soft">{t("responsibleNow")}</p>
    </>
  );
}
