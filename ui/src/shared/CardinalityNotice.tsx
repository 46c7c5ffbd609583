/** On every page: the metrics store holds too many series, and this label makes them. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { fetchCardinality } from "../api/client";
import { useText } from "../app/language";
import { Icon } from "./icons";

export function CardinalityNotice() {
  const t = useText();
  const [dismissed, setDismissed] = useState("");
  const { data } = useQuery({
    queryKey: ["cardinality"],
    queryFn: ({ signal }) => fetchCardinality(signal),
    refetchInterval: 30_000,
    retry: false,
  });
  const subject = data === undefined ? "" : `${data.state}/${data.label}`;
  if (data === undefined || data.state === "" || dismissed === subject) return null;
  return (
    <div className="banner" role="status">
      <Icon name="warning" size={20} />
      <div>
        {data.state === "full" && <strong>{t("tooManySeries", { rejected: data.rejected })}</strong>}
        {data.state === "nearlyFull" && <strong>{t("nearlyTooManySeries", { series: data.series, limit: data.limit })}</strong>}
        <p>{t("explodedLabel", { label: data.label, values: data.values, metric: data.metric })}</p>
      </div>
      <button type="button" className="icon-button" aria-label={t("dismiss")} title={t("dismiss")} onClick={() => setDismissed(subject)}>
        <Icon name="close" size={16} />
      </button>
    </div>
  );
}
