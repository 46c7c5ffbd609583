/** Nothing asks proxies for traces: the one object that does. */
import { useState } from "react";
import { useText } from "../../app/language";
import { copyText } from "../../shared/Command";

export const TRACING_YAML = `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: mesh-default
  namespace: istio-system
spec:
  tracing:
  - providers:
    - name: otel-tracing
    randomSamplingPercentage: 100
`;

export function TracingOff() {
  const t = useText();
  const [copied, setCopied] = useState(false);
  return (
    <section className="first-visit tracing-off">
      <h2>{t("tracingOff")}</h2>
      <p>{t("tracingOffText")}</p>
      <div className="section-head">
        <h3>{t("tracingOffApply")}</h3>
        <button type="button" className="control" onClick={() => void copyText(`kubectl apply -f - <<'EOF'\n${TRACING_YAML}EOF\n`).then(setCopied)}>
          <span aria-live="polite">{t(copied ? "copied" : "copy")}</span>
        </button>
      </div>
      <pre className="source" tabIndex={0}>{`kubectl apply -f - <<'EOF'\n${TRACING_YAML}EOF`}</pre>
      <p className="soft">{t("tracingOffCost")}</p>
    </section>
  );
}
