/** The session has ended: what is on the page stays, and logging in again (here, or in another tab) goes on with it. */
import { useSyncExternalStore } from "react";
import { useLocation } from "react-router";
import { sessionEnded, watchSession } from "../../api/session";
import { useText } from "../../app/language";
import { Icon } from "../../shared/icons";

export function SessionEnded() {
  const t = useText();
  const { pathname, search } = useLocation();
  const ended = useSyncExternalStore(watchSession, sessionEnded);
  if (!ended) return null;
  return (
    <div className="banner" role="alert">
      <Icon name="lock" size={20} />
      <div>
        <strong>{t("sessionEnded")}</strong>
        <p>{t("sessionEndedHint")}</p>
        <p className="object-tools">
          <a className="control primary" href={`/login?to=${encodeURIComponent(pathname + search)}`}>
            {t("logInAgain")}
          </a>
          <a className="control" href="/login" target="_blank" rel="noreferrer">
            {t("logInElsewhere")}
          </a>
        </p>
      </div>
    </div>
  );
}
