import type { Traffic } from "../../api/client";
import { useText, type Translate } from "../../app/language";
import { en, type TextKey } from "../../app/texts";
import { formatMilliseconds, formatNumber, formatShare } from "../../domain/format";
import { byteRateText, rateText } from "./words";

export function TrafficNumbers({ title, traffic }: { title: string; traffic: Traffic }) {
  const t = useText();
  const http = traffic.requestCount > 0;
  const bytes = traffic.bytesSentPerSecond + traffic.bytesReceivedPerSecond > 0;
  const tcp = traffic.connectionsOpened > 0 || (bytes && !http);
  return (
    <section>
      <h3>{title}</h3>
      <dl className="numbers">
        {http && <Figure name={t("requests")} value={rateText(traffic.requestsPerSecond, t)} />}
        {http && <Figure name={t("errors")} value={formatShare(traffic.errorRatio)} tone={traffic.errorCount > 0 ? "bad" : ""} />}
        {http && <Figure name={t("average")} value={formatMilliseconds(traffic.averageMilliseconds)} />}
        {http && <Figure name="p50" value={formatMilliseconds(traffic.p50Milliseconds)} />}
        {http && <Figure name="p95" value={formatMilliseconds(traffic.p95Milliseconds)} />}
        {http && <Figure name="p99" value={formatMilliseconds(traffic.p99Milliseconds)} />}
        {bytes && <Figure name={t(tcp ? "received" : "requestBytes")} value={byteRateText(traffic.bytesReceivedPerSecond, t)} />}
        {bytes && <Figure name={t(tcp ? "sent" : "responseBytes")} value={byteRateText(traffic.bytesSentPerSecond, t)} />}
        {tcp && <Figure name={t("connections")} value={formatNumber(Math.round(traffic.connectionsOpened))} />}
      </dl>
    </section>
  );
}

function Figure({ name, value, tone = "" }: { name: string; value: string; tone?: string }) {
  return (
    <div className={tone}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** What Envoy's response flags mean, in words. */
export function explainFlags(flags: string, t: Translate): string {
  const texts = flags.split(",").map((flag) => (`flag.${flag}` in en ? t(`flag.${flag}` as TextKey) : ""));
  return texts.filter((text) => text !== "").join(", ");
}

export function ResponseTable({ traffic }: { traffic: Traffic }) {
  const t = useText();
  const rows = Object.entries(traffic.responseCodes).flatMap(([code, flags]) =>
    Object.entries(flags).map(([flag, count]) => ({ code, flag, count })),
  );
  if (rows.length === 0) return null;
  return (
    <section>
      <h3>{t("responses")}</h3>
      <table className="small">
        <thead>
          <tr>
            <th scope="col">{t("code")}</th>
            <th scope="col">{t("flags")}</th>
            <th scope="col" className="number">{t("count")}</th>
            <th scope="col" className="number">{t("share")}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.code + row.flag}>
              <td>
                <code>{row.code}</code>
              </td>
              <td>
                {row.flag !== "-" && <code>{row.flag}</code>} <span className="soft">{explainFlags(row.flag, t)}</span>
              </td>
              <td className="number">{formatNumber(row.count)}</td>
              <td className="number">{formatShare(row.count / traffic.requestCount)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
