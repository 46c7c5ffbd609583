/** What went wrong, said plainly, with what to do. */
import { ApiError } from "../api/client";
import { useText } from "../app/language";
import { Command } from "./Command";
import { Icon } from "./icons";

export function FailureBanner({ error, staleTime }: { error: Error; staleTime?: string | undefined }) {
  const t = useText();
  if (error instanceof ApiError && error.code === "unauthorized") return null; // The shell says it, once.
  const unreachable = error instanceof ApiError && error.code === "consoleUnreachable";
  return (
    <div className="banner" role="alert">
      <Icon name="warning" size={20} />
      <div>
        <strong>{t(unreachable ? "errorConsole" : "errorTitle")}</strong>
        <p>{unreachable ? t("consoleUnreachable") : error.message}</p>
        {error instanceof ApiError && error.code !== "metricsUnavailable" && error.hint !== "" && <p>{error.hint}</p>}
        {error instanceof ApiError && error.code === "metricsUnavailable" && (
          <>
            <p>{t("errorLook")}</p>
            <Command text="kubectl -n istio-system get pods -l app.kubernetes.io/name=prometheus" />
          </>
        )}
        <p className="soft">
          {staleTime !== undefined && `${t("errorStale", { time: staleTime })} `}
          {t("errorRetry")}
        </p>
      </div>
    </div>
  );
}
