/** Why buttons are off: what the user may not do, and what to ask for. */
import "./access.css";
import type { Answer } from "./useRights";
import { useText } from "../../app/language";
import { grantCommands } from "../../domain/rights";
import { Command } from "../../shared/Command";
import { Icon } from "../../shared/icons";

export const RIGHTS_NOTE = "rights-note";

export function RightsNote({ answer: { told, missing } }: { answer: Answer }) {
  const t = useText();
  if (told?.problem !== undefined && told.problem !== "") {
    return (
      <div className="identity rights-note" id={RIGHTS_NOTE} role="status">
        <p>{t("rightsUnknown")}</p>
        <p className="soft">{told.problem}</p>
      </div>
    );
  }
  const user = told?.user;
  if (missing.length === 0 || user === undefined || user === null) return null;
  return (
    <div className="identity rights-note" id={RIGHTS_NOTE} role="status">
      {missing.map((one) => (
        <div key={`${one.resource}.${one.group}/${one.namespace}`} className="rights">
          <p className="rights-lack">
            <Icon name="lock" size={15} />
            <strong>
              {t(one.namespace === "" ? "mayNotAnywhere" : "mayNot", {
                user,
                namespace: one.namespace,
                resource: one.resource,
                changes: one.changes.map((change) => t(`mayNot.${change}`)).join(t("mayNotOr")),
              })}
            </strong>
          </p>
          <p className="soft">{t("askForRights")}</p>
          {grantCommands(user, one).map((command) => (
            <Command key={command} text={command} />
          ))}
        </div>
      ))}
    </div>
  );
}
