/** Health with its reasons, and the commonest failure in words. */
import type { Health, Traffic } from "../../api/client";
import { useText, type Translate } from "../../app/language";
import type { TextKey } from "../../app/texts";
import { formatNumber, formatShare } from "../../domain/format";
import { HealthButton } from "../health/HealthButton";
import { explainFlags } from "./Numbers";

/** The commonest failure among responses, in words: `503, A fault was injected`. */
function mainCause(traffic: readonly Traffic[], t: Translate): string {
  const failures = traffic.flatMap(({ responseCodes }) =>
    Object.entries(responseCodes).flatMap(([code, flags]) => Object.entries(flags).map(([flag, count]) => ({ code, flag, count }))),
  ).filter(({ code, flag }) => /^[45]/.test(code) || code === "0" || (flag !== "-" && flag !== "DI"));
  const worst = failures.sort((a, b) => b.count - a.count)[0];
  const explained = worst === undefined ? "" : explainFlags(worst.flag, t);
  return worst === undefined || explained === "" ? "" : t("cause", { code: worst.code, reason: explained });
}

interface Properties {
  health: Health;
  traffic: readonly Traffic[];
  kind: "node" | "edge";
  id: string;
  name: string;
}

export function Verdict({ health, traffic, ...subject }: Properties) {
  const t = useText();
  const cause = health.reasons.some((reason) => reason.code !== "replicas") ? mainCause(traffic, t) : "";
  return (
    <div className={`verdict verdict-${health.status}`}>
      <HealthButton status={health.status} {...subject} />
      {health.reasons.length > 0 && (
        <ul>
          {health.reasons.map((reason) => (
            <li key={reason.code + reason.direction + (reason.pattern ?? "")}>
              {reason.code === "replicas"
                ? t("reason.replicas", { value: formatNumber(reason.value), threshold: formatNumber(reason.threshold) })
                : t("reason.share", {
                    name: t(`reason.${reason.code}` as TextKey, { pattern: reason.pattern ?? "" }),
                    direction: t(`direction.${reason.direction}` as TextKey),
                    value: formatShare(reason.value),
                    threshold: reason.threshold > 0 ? formatShare(reason.threshold) : t("reason.above"),
                  })}
            </li>
          ))}
          {cause !== "" && <li>{cause}</li>}
        </ul>
      )}
    </div>
  );
}
