/** The lists: namespaces (as cards or rows), apps, workloads and services. One frame, one address for all of its state. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";
import { NavLink } from "react-router";
import { fetchSummaries, type ListKind, type Summary } from "../../api/pages";
import { untilAnswered } from "../../api/queries";
import { useLanguage } from "../../app/language";
import "../../app/pages.css";
import { formatMoment } from "../../domain/format";
import { filterList, severity, sortBy, writeList } from "../../domain/list";
import { Choice } from "../../shared/Choice";
import { Icon } from "../../shared/icons";
import { SortTable } from "../../shared/SortTable";
import { DataState, Freshness } from "../../shared/states";
import { HealthScopeContext } from "../health/HealthButton";
import { TimeMenu } from "../graph/TimeMenu";
import { useColumns } from "./columns";
import { EmptyMesh } from "./EmptyMesh";
import { NamespaceCards } from "./NamespaceCards";
import { useList } from "./useList";

const HEALTHS = ["failure", "degraded", "notReady", "healthy", "idle"] as const;
const LISTS = [
  { by: "namespace", path: "/overview", text: "namespaces" },
  { by: "app", path: "/apps", text: "apps" },
  { by: "workload", path: "/workloads", text: "workloads" },
  { by: "service", path: "/services", text: "services" },
] as const;

export default function SummaryPage({ by }: { by: ListKind }) {
  const { t, language } = useLanguage();
  const [address, change] = useList();
  const { at, durationSeconds } = address;
  const { data, error, dataUpdatedAt, isFetching } = useQuery({
    queryKey: ["summaries", by, at, durationSeconds],
    queryFn: ({ signal }) => fetchSummaries(by, { at, durationSeconds }, signal),
    refetchInterval: at === null ? 5000 : untilAnswered,
    placeholderData: (before, query) => (query?.queryKey[1] === by ? keepPreviousData(before) : undefined),
  });
  const title = t(LISTS.find((list) => list.by === by)?.text ?? "workloads");
  useEffect(() => {
    document.title = `${title} · Kaiki`;
  }, [title]);
  const shown = useMemo(() => filterList(data?.items ?? [], address), [data, address]);
  const namespaces = useMemo(() => [...new Set(data?.items.map((item) => item.namespace))].sort(), [data]);
  const cards = by === "namespace" && address.view === "cards";
  const kept = writeList({ ...address, sort: "", view: "cards" }).toString();
  const empty = data?.items.every((item) => item.expectedSidecars === 0) === true && (data.warnings.length === 0 || !data.measured);
  return (
    <div className="list-page">
      <header className="list-head list-head-lists">
        <h1 className="hidden">{title}</h1>
        <nav className="tabs" aria-label={t("lists")}>
          {LISTS.map((list) => (
            <NavLink key={list.by} to={{ pathname: list.path, search: kept }} className="tab">
              {t(list.text)} {list.by === by && data !== undefined && <span className="pill">{data.items.length}</span>}
            </NavLink>
          ))}
        </nav>
        <div className="list-tools">
          <label className="find">
            <Icon name="search" size={16} />
            <span className="hidden">{t("filter")}</span>
            <input type="search" value={address.search} placeholder={t("filter")} onChange={(event) => change({ search: event.target.value })} />
          </label>
          {by !== "namespace" && (
            <Choice label={t("namespace")} value={address.namespace} none="" options={namespaces} onChange={(namespace) => change({ namespace })} />
          )}
          <Choice
            label={t("health")}
            value={address.health}
            none=""
            options={HEALTHS.map((health) => ({ value: health, text: t(`health.${health}`) }))}
            onChange={(health) => change({ health })}
          />
          <button type="button" className="control" aria-pressed={address.findings} onClick={() => change({ findings: !address.findings })}>
            <Icon name="warning" size={15} /> {t("withFindings")}
          </button>
          {by === "namespace" && (
            <div className="segments" role="group" aria-label={t("view")}>
              {(["cards", "table"] as const).map((view) => (
                <button key={view} type="button" aria-pressed={address.view === view} onClick={() => change({ view })}>
                  <Icon name={view === "cards" ? "app" : "table"} size={15} /> <span>{t(`view.${view}`)}</span>
                </button>
              ))}
            </div>
          )}
          <TimeMenu address={address} change={(changed) => change({ ...changed, compareSeconds: null })} comparing={false} />
          <Freshness at={at} updatedAt={dataUpdatedAt} fetching={isFetching} back={() => change({ at: null })} />
        </div>
      </header>
      <DataState data={data} error={error} updatedAt={dataUpdatedAt} />
      {at !== null && data !== undefined && <p className="notice">{t("listAsNow", { time: formatMoment(at * 1000, language) })}</p>}
      {data !== undefined && (
        <div className={cards ? "cards-scroll" : "table-scroll"} tabIndex={0} role="region" aria-label={title}>
          {empty && <EmptyMesh />}
          {cards ? (
            <NamespaceCards items={sortBy(shown, severity, true)} address={address} measured={data.measured} />
          ) : shown.length > 0 ? (
            <HealthScopeContext value={{ at: data.timestamp, durationSeconds: data.durationSeconds, graphType: by }}>
              <ListTable by={by} items={shown} measured={data.measured} title={title} sort={address.sort} onSort={(sort) => change({ sort })} />
            </HealthScopeContext>
          ) : null}
          {shown.length === 0 && !(empty && data.items.length === 0) && (
            <p className="page-note">
              {t(data.items.length === 0 ? "nothingHere" : "nothingFits")}{" "}
              {data.items.length > 0 && (
                <button type="button" className="link" onClick={() => change({ search: "", namespace: "", health: "", findings: false })}>
                  {t("showAll")}
                </button>
              )}
            </p>
          )}
        </div>
      )}
    </div>
  );
}

function ListTable({ by, items, measured, title, sort, onSort }: { by: ListKind; items: Summary[]; measured: boolean; title: string; sort: string; onSort: (sort: string) => void }) {
  const columns = useColumns(by, measured);
  return <SortTable label={title} items={items} columns={columns} rowKey={(item) => `${item.namespace}/${item.name}`} sort={sort === "" ? "-health" : sort} onSort={onSort} />;
}
