/** Two versions of an app side by side: their numbers, their codes, who calls them and what they call. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { Link, useParams, useSearchParams } from "react-router";
import type { ComparedVersions } from "../../api/client";
import { fetchVersions } from "../../api/pages";
import { untilAnswered } from "../../api/queries";
import { useText } from "../../app/language";
import "../../app/marks.css";
import "../../app/pages.css";
import { Choice } from "../../shared/Choice";
import { DataState, Freshness } from "../../shared/states";
import { TimeMenu } from "../graph/TimeMenu";
import { HealthScopeContext } from "../health/HealthButton";
import { detailsAddress } from "../overview/words";
import { CallTable } from "./CallTable";
import { VersionNumbers } from "./VersionNumbers";
import { versionChangeText } from "./words";

const WINDOW_SECONDS = 600;
const REFRESH_MILLISECONDS = 5000;

export default function VersionsPage() {
  const t = useText();
  const { namespace = "", name = "" } = useParams();
  const [parameters, setParameters] = useSearchParams();
  const [baseline, version] = [parameters.get("baseline") ?? "", parameters.get("version") ?? ""];
  const at = Number(parameters.get("at")) > 0 ? Number(parameters.get("at")) : null;
  const durationSeconds = Number(parameters.get("duration")) > 0 ? Math.floor(Number(parameters.get("duration"))) : WINDOW_SECONDS;
  const { data, error, dataUpdatedAt, isFetching } = useQuery({
    queryKey: ["versions", namespace, name, baseline, version, at, durationSeconds],
    queryFn: ({ signal }) => fetchVersions(namespace, name, { baseline, version }, { at, durationSeconds }, signal),
    refetchInterval: at === null ? REFRESH_MILLISECONDS : untilAnswered,
    placeholderData: keepPreviousData,
  });
  useEffect(() => {
    document.title = `${t("versionsOf", { name })} · Kaiki`;
  }, [t, name]);
  const change = (changed: Record<string, string | number | null>) =>
    setParameters(
      (current) => {
        const next = new URLSearchParams(current);
        for (const [key, value] of Object.entries(changed)) {
          if (value === null || value === "") next.delete(key);
          else next.set(key, String(value));
        }
        return next;
      },
      { replace: true },
    );
  return (
    <HealthScopeContext value={{ at: data?.timestamp ?? at, durationSeconds, graphType: "versionedApp" }}>
      <div className="list-page">
        <header className="list-head detail-head">
          <div className="detail-title">
            <p className="soft">
              <Link to="/apps">{t("apps")}</Link> / <Link to={detailsAddress("app", namespace, name)}>{`${namespace}/${name}`}</Link>
            </p>
            <h1>{t("versionsOf", { name })}</h1>
          </div>
          <div className="list-tools">
            {data !== undefined && data.versions.length > 1 && <VersionChoice data={data} change={change} />}
            <TimeMenu
              address={{ at, durationSeconds, compareSeconds: null }}
              change={({ at: moment, durationSeconds: seconds }) => change({ ...(moment === undefined ? {} : { at: moment }), ...(seconds === undefined ? {} : { duration: seconds }) })}
              comparing={false}
            />
            <Freshness at={at} updatedAt={dataUpdatedAt} fetching={isFetching} back={() => change({ at: null })} />
          </div>
        </header>
        <DataState data={data} error={error} updatedAt={dataUpdatedAt} back={{ to: "/apps", text: t("apps") }} />
        {data !== undefined && <Compared data={data} />}
      </div>
    </HealthScopeContext>
  );
}

function VersionChoice({ data: { versions, baseline, version }, change }: { data: ComparedVersions; change: (changed: Record<string, string>) => void }) {
  const t = useText();
  return (
    <>
      <Choice label={t("versionBaseline")} value={baseline} options={versions} onChange={(chosen) => change({ baseline: chosen, version })} />
      <button type="button" className="icon-button" onClick={() => change({ baseline: version, version: baseline })} aria-label={t("versionSwap")} title={t("versionSwap")}>
        <span aria-hidden="true">⇄</span>
      </button>
      <Choice label={t("versionCompared")} value={version} options={versions} onChange={(chosen) => change({ baseline, version: chosen })} />
    </>
  );
}

function Compared({ data }: { data: ComparedVersions }) {
  const t = useText();
  if (data.versions.length < 2) return <p className="page-note">{t("versionOnlyOne", { version: data.version })}</p>;
  const words = versionChangeText(data.change, data, t);
  return (
    <div className="details versions">
      <p className="notice" role="status">
        {t("versionAgainst", { version: data.version, baseline: data.baseline })} <strong>{words === "" ? t("sameAsBefore") : words}</strong>
      </p>
      <VersionNumbers data={data} />
      <CallTable title={t("versionCallers")} calls={data.callers} data={data} />
      <CallTable title={t("versionCalls")} calls={data.calls} data={data} />
    </div>
  );
}
