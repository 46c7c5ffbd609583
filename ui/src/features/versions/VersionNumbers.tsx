/** What comes in to each of two versions: numbers, and how the answers are shared out among codes. */
import type { ComparedVersions, GraphNode, Traffic } from "../../api/client";
import { useText } from "../../app/language";
import { formatMilliseconds, formatShare } from "../../domain/format";
import { HealthButton } from "../health/HealthButton";
import { explainFlags } from "../graph/Numbers";
import { byteRateText, rateText } from "../graph/words";

type Told = (traffic: Traffic) => string;

export function VersionNumbers({ data }: { data: ComparedVersions }) {
  const t = useText();
  const { before, after, baseline, version } = data;
  const rows: [string, Told, Difference?][] = [
    [t("requests"), (traffic) => rateText(traffic.requestsPerSecond, t), { value: (traffic) => traffic.requestsPerSecond, told: (by) => rateText(by, t) }],
    [t("errors"), (traffic) => formatShare(traffic.errorRatio), { value: (traffic) => traffic.errorRatio, told: (by) => t("sharePoints", { points: formatShare(by).replace("%", "") }) }],
    ...(["average", "p50", "p95", "p99"] as const).map((name): [string, Told, Difference] => [
      name === "average" ? t("average") : name,
      (traffic) => formatMilliseconds(traffic[`${name}Milliseconds`]),
      { value: (traffic) => traffic[`${name}Milliseconds`], told: formatMilliseconds },
    ]),
    [t("requestBytes"), (traffic) => byteRateText(traffic.bytesReceivedPerSecond, t)],
    [t("responseBytes"), (traffic) => byteRateText(traffic.bytesSentPerSecond, t)],
    [t("mtls"), (traffic) => formatShare(traffic.mtlsRatio)],
  ];
  return (
    <section>
      <h2>{t("inbound")}</h2>
      <div className="table-frame version-numbers" tabIndex={0} role="region" aria-label={t("inbound")}>
        <table>
          <thead>
            <tr>
              <td />
              <th scope="col" className="number">{baseline}</th>
              <th scope="col" className="number">{version}</th>
              <th scope="col" className="number">{t("difference")}</th>
            </tr>
          </thead>
          <tbody>
            <tr>
              <th scope="row">{t("health")}</th>
              <HealthCell node={before} name={baseline} />
              <HealthCell node={after} name={version} />
              <td />
            </tr>
            {rows.map(([name, told, difference]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td className="number">{before === null ? "–" : told(before.traffic.inbound)}</td>
                <td className="number">{after === null ? "–" : told(after.traffic.inbound)}</td>
                <td className="number">{difference === undefined ? "" : differenceText(difference, before, after)}</td>
              </tr>
            ))}
            <CodeRows before={before} after={after} />
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface Difference {
  value: (traffic: Traffic) => number | null;
  told: (by: number) => string;
}

function differenceText({ value, told }: Difference, before: GraphNode | null, after: GraphNode | null): string {
  const [old, now] = [before, after].map((node) => (node === null ? null : value(node.traffic.inbound)));
  if (old === null || old === undefined || now === null || now === undefined) return "";
  return now === old ? "=" : `${now > old ? "+" : "−"}${told(Math.abs(now - old))}`;
}

function HealthCell({ node, name }: { node: GraphNode | null; name: string }) {
  const t = useText();
  return <td className="number">{node === null ? <span className="soft">{t("versionNoTraffic")}</span> : <HealthButton status={node.health.status} kind="node" id={node.id} name={name} />}</td>;
}

/** A row for each code and flag that either version answered with: the share of its requests. */
function CodeRows({ before, after }: { before: GraphNode | null; after: GraphNode | null }) {
  const t = useText();
  const shares = [before, after].map((node) => codeShares(node));
  const keys = [...new Set(shares.flatMap((found) => [...found.keys()]))].sort();
  return keys.map((key) => {
    const [code = "", flags = ""] = key.split(" ");
    const explained = explainFlags(flags, t);
    return (
      <tr key={key}>
        <th scope="row">
          {t("code")} <code>{key.replace(" -", "")}</code> <span className="soft">{explained}</span>
        </th>
        {shares.map((found, side) => (
          <td key={`${code}${side}`} className="number">
            {formatShare(found.get(key) ?? (found.size > 0 ? 0 : null))}
          </td>
        ))}
        <td />
      </tr>
    );
  });
}

function codeShares(node: GraphNode | null): Map<string, number> {
  const shares = new Map<string, number>();
  const inbound = node?.traffic.inbound;
  for (const [code, flags] of Object.entries(inbound?.responseCodes ?? {})) {
    for (const [flag, count] of Object.entries(flags)) shares.set(`${code} ${flag}`, count / (inbound?.requestCount ?? 1));
  }
  return shares;
}
