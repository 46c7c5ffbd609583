/** The edges of two versions, to or from the same other nodes. */
import { Link } from "react-router";
import type { ComparedCall, ComparedVersions, GraphEdge } from "../../api/client";
import { useText } from "../../app/language";
import { formatMilliseconds, formatShare } from "../../domain/format";
import { HealthButton } from "../health/HealthButton";
import { mainKind } from "../graph/changes";
import { bytesText, fullName, rateText } from "../graph/words";
import { versionChangeText } from "./words";

export function CallTable({ title, calls, data }: { title: string; calls: readonly ComparedCall[]; data: ComparedVersions }) {
  const t = useText();
  const { baseline, version } = data;
  return (
    <section>
      <h2>{title}</h2>
      {calls.length === 0 && <p className="soft">{t("versionNoCalls")}</p>}
      {calls.length > 0 && (
        <div className="table-frame" tabIndex={0} role="region" aria-label={title}>
          <table>
            <thead>
              <tr>
                <th scope="col" rowSpan={2}>{t("name")}</th>
                <th scope="col" rowSpan={2}>{t("protocol")}</th>
                <th scope="colgroup" colSpan={4}>{baseline}</th>
                <th scope="colgroup" colSpan={4}>{version}</th>
                <th scope="col" rowSpan={2}>{t("changes")}</th>
              </tr>
              <tr>
                {[baseline, version].flatMap((name, side) =>
                  [t("health"), t("requests"), t("errors"), "p95"].map((heading, index) => (
                    <th key={`${side}${heading}`} scope="col" className={index === 0 ? "" : "number"}>
                      {heading}
                      <span className="hidden"> {name}</span>
                    </th>
                  )),
                )}
              </tr>
            </thead>
            <tbody>
              {calls.map((call) => (
                <tr key={call.node.id + call.protocol}>
                  <th scope="row">
                    {fullName(call.node, t)} <span className="soft">{call.node.namespace}</span>
                  </th>
                  <td>{call.protocol}</td>
                  <EdgeCells edge={call.before} name={`${baseline} · ${fullName(call.node, t)}`} />
                  <EdgeCells edge={call.after} name={`${version} · ${fullName(call.node, t)}`} />
                  <td>
                    {call.change.kinds.length === 0 ? (
                      <span className="soft">–</span>
                    ) : (
                      <Link className={`change change-${mainKind(call.change)}`} to={graphAddress(call, data)}>
                        {versionChangeText(call.change, data, t)}
                      </Link>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function EdgeCells({ edge, name }: { edge: GraphEdge | null; name: string }) {
  const t = useText();
  if (edge === null) return <td colSpan={4} className="soft">{t("versionNoEdge")}</td>;
  return (
    <>
      <td>
        <HealthButton status={edge.health.status} kind="edge" id={edge.id} name={name} />
      </td>
      <td className="number">{edge.protocol === "tcp" ? bytesText(edge, t) : rateText(edge.requestsPerSecond, t)}</td>
      <td className="number">{formatShare(edge.errorRatio)}</td>
      <td className="number">{formatMilliseconds(edge.p95Milliseconds)}</td>
    </>
  );
}

/** The edge in the graph of versions, at the time that was compared. */
function graphAddress(call: ComparedCall, data: ComparedVersions): string {
  const edge = call.after?.id ?? call.before?.id ?? "";
  return `/graph?${new URLSearchParams({ type: "versionedApp", duration: String(data.durationSeconds), at: String(Math.round(data.timestamp)), edge }).toString()}`;
}
