/** What went wrong, said plainly: what is missing, what is left, since when, and what to do. */
import { ApiError } from "../api/client";
import { passesByItself } from "../api/queries";
import { useText } from "../app/language";
import type { TextKey } from "../app/texts";
import { Command } from "./Command";
import { Icon } from "./icons";

interface Part {
  title: TextKey;
  left?: TextKey;
  look?: TextKey;
  command?: string;
}

const METRICS_PODS = "kubectl -n istio-system get pods -l app.kubernetes.io/name=prometheus";
/** The parts that a console depends on, by the code of the failure. */
const PARTS: Readonly<Record<string, Part>> = {
  consoleUnreachable: { title: "errorConsole" },
  metricsUnavailable: { title: "errorMetrics", left: "errorMetricsLeft", look: "errorLook", command: METRICS_PODS },
  tracesUnavailable: { title: "errorTraces", left: "errorTracesLeft", look: "errorTracesLook", command: METRICS_PODS },
  kubernetesUnavailable: { title: "errorKubernetes", left: "errorKubernetesLeft", look: "errorKubernetesLook", command: "kubectl get --raw /readyz" },
  proxyUnavailable: { title: "errorControlPlane", left: "errorControlPlaneLeft", look: "errorControlPlaneLook", command: "kubectl -n istio-system get pods -l app=istiod" },
};

export function FailureBanner({ error, staleTime }: { error: Error; staleTime?: string | undefined }) {
  const t = useText();
  const code = error instanceof ApiError ? error.code : "";
  if (code === "unauthorized") return null; // The shell says it, once.
  const passes = passesByItself(error);
  const part = PARTS[code] ?? { title: passes ? "errorOther" : "errorRefused" };
  return (
    <div className="banner" role="alert">
      <Icon name="warning" size={20} />
      <div>
        <strong>{t(part.title)}</strong>
        {part.left !== undefined && <p>{t(part.left)}</p>}
        <p className={part.left === undefined ? undefined : "soft"}>{code === "consoleUnreachable" ? t("consoleUnreachable") : error.message}</p>
        {error instanceof ApiError && code !== "metricsUnavailable" && error.hint !== "" && <p>{error.hint}</p>}
        {part.look !== undefined && part.command !== undefined && (
          <>
            <p>{t(part.look)}</p>
            <Command text={part.command} />
          </>
        )}
        {(passes || staleTime !== undefined) && (
          <p className="soft">
            {staleTime !== undefined && `${t("errorStale", { time: staleTime })} `}
            {passes && t("errorRetry")}
          </p>
        )}
      </div>
    </div>
  );
}
