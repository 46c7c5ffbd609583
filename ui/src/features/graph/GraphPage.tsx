/** The graph: follows it as it changes, draws, and shows the details of what is selected. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { ApiError, fetchGraph, MOST_NODES, type GraphNode, type TrafficGraph } from "../../api/client";
import { untilAnswered } from "../../api/queries";
import { useLanguage } from "../../app/language";
import type { Selection } from "../../domain/address";
import { formatWhen } from "../../domain/format";
import { scopeOf, type Pins } from "../../domain/pins";
import { focusOn, hideFound, tryFind } from "../../domain/shown";
import { inside } from "../../domain/zoom";
import { FailureBanner } from "../../shared/failure";
import { graphKey, useEvents, usePolling } from "../../shared/useEvents";
import { Warning } from "../../shared/states";
import { FirstVisit } from "./FirstVisit";
import { GraphCanvas } from "./GraphCanvas";
import { HealthScopeContext } from "../health/HealthButton";
import { GraphTable } from "./GraphTable";
import { Legend } from "./Legend";
import { ComparisonSummary } from "./ComparisonSummary";
import { Replay } from "./Replay";
import { Toolbar } from "./Toolbar";
import { useGraphAddress } from "./useGraphAddress";
import { useLayout } from "./useLayout";

const SidePanel = lazy(() => import("./SidePanel"));
const REFRESH_MILLISECONDS = 3000;
const NARROW = window.matchMedia("(max-width: 640px)");

export function GraphPage() {
  const { t, language } = useLanguage();
  const [address, change] = useGraphAddress();
  const [motion, setMotion] = useState(() => !window.matchMedia("(prefers-reduced-motion: reduce)").matches);
  const { namespaces, durationSeconds, graphType, at, compareSeconds, compareAt, idle, services, selection } = address;
  const asked = { namespaces, durationSeconds, graphType, at, compareSeconds, compareAt, idle, services };
  const followed = at === null && compareSeconds === null && compareAt === null;
  const polling = usePolling(REFRESH_MILLISECONDS);
  const query = useQuery({
    queryKey: graphKey(asked),
    queryFn: ({ signal }) => fetchGraph(asked, signal),
    refetchInterval: at !== null ? untilAnswered : followed ? polling || untilAnswered : REFRESH_MILLISECONDS,
    placeholderData: keepPreviousData,
  });
  const untold = useEvents(followed ? asked : null, query.isFetched);
  const { finder, error: findProblem } = useMemo(() => tryFind(address.find), [address.find]);
  const { finder: hidden, error: hideProblem } = useMemo(() => tryFind(address.hide), [address.hide]);
  const { id: focusId, hops } = address.focus ?? { id: "", hops: 0 };
  const whole = useContent(query.data);
  const graph = useMemo(() => whole && focusOn(hideFound(whole, hidden), focusId === "" ? null : { id: focusId, hops }), [whole, hidden, focusId, hops]);
  const direction = useNarrow() ? "DOWN" : "RIGHT";
  const layout = useLayout(graph, t, direction);
  const select = useCallback((chosen: Selection) => change({ selection: chosen }), [change]);
  const open = useCallback((node: GraphNode) => change(inside(node) ?? { selection: { kind: "node", id: node.id } }), [change]);
  const keepPins = useCallback((pins: Pins) => change({ pins }), [change]);

  useEffect(() => {
    document.title = `${t("graph")} · Kaiki`;
    const escape = (event: KeyboardEvent) => {
      if (event.key === "Escape") change({ selection: null });
    };
    window.addEventListener("keydown", escape);
    return () => window.removeEventListener("keydown", escape);
  }, [t, change]);

  const time = query.data === undefined ? undefined : formatWhen(query.data.timestamp, language);
  // Of an attempt under way: what events bring is no attempt, and leaves the reason of the last one where it is.
  const failure = query.error ?? (query.isFetching && query.failureReason instanceof ApiError ? query.failureReason : untold);
  return (
    <div className="graph-page">
      <h1 className="hidden">{t("graph")}</h1>
      <Toolbar
        address={address}
        change={change}
        graph={graph}
        found={finder === null || graph === undefined ? null : finder.aboutTraffic ? graph.edges.filter(finder.edge).length : graph.nodes.filter(finder.node).length}
        problem={findProblem ?? hideProblem}
        failing={failure !== null}
        motion={motion}
        setMotion={setMotion}
      />
      {at !== null && <Replay at={at} change={change} />}
      {graph?.comparison !== undefined && <ComparisonSummary graph={graph} />}
      {failure !== null && <FailureBanner error={failure} staleTime={time} />}
      {graph?.warnings.map((warning) => <Warning key={warning.code} {...warning} />)}
      {whole !== undefined && whole.graphType !== graphType && (
        <p className="notice" role="status">
          {t("grouped", { by: t(`type.${whole.graphType}`), most: MOST_NODES })}
        </p>
      )}
      {graph !== undefined && whole !== undefined && (address.focus !== null || address.hide !== "") && (
        <p className="notice" role="status">
          {t("shownPart", { nodes: graph.nodes.length, all: whole.nodes.length })}{" "}
          <button type="button" className="link" onClick={() => change({ focus: null, hide: "" })}>
            {t("showAll")}
          </button>
        </p>
      )}
      <HealthScopeContext value={{ at: graph?.timestamp ?? at, durationSeconds, graphType: graph?.graphType ?? graphType, services, namespaces }}>
      <div className={`stage${failure !== null ? " stale" : ""}`}>
        <Stage graph={graph} failed={failure !== null} pending={layout === null && address.view === "graph"}>
          {graph !== undefined && whole?.nodes.length === 0 && <FirstVisit address={address} change={change} />}
          {graph !== undefined && graph.nodes.length > 0 && address.view === "table" && (
            <GraphTable graph={graph} finder={finder} selection={selection} onSelect={select} />
          )}
          {graph !== undefined && graph.nodes.length > 0 && address.view === "graph" && layout !== null && (
            <>
              <GraphCanvas graph={graph} layout={layout} scope={scopeOf(graph.graphType, namespaces, direction)} linked={address.pins} onPins={query.isPlaceholderData ? null : keepPins} label={address.label} motion={motion} finder={finder} selection={selection} onSelect={select} onOpen={open} />
              <Legend />
            </>
          )}
        </Stage>
        {graph !== undefined && selection !== null && (
          <Suspense fallback={<aside className="panel" />}>
            <SidePanel graph={graph} selection={selection} onSelect={select} live={at === null} focus={address.focus} change={change} />
          </Suspense>
        )}
      </div>
      </HealthScopeContext>
      {graph !== undefined && (
        <footer className="status">
          <div className="status-line">
            <span>{t("summary.nodes", { nodes: graph.nodes.length, edges: graph.edges.length })}</span>
            <span>{t(at === null ? "updated" : "asOf", { time: time ?? "" })}</span>
          </div>
        </footer>
      )}
    </div>
  );
}

/** The same graph for as long as nothing in it differs but its time: what has not changed is not drawn again. */
function useContent(graph: TrafficGraph | undefined): TrafficGraph | undefined {
  const [kept, keep] = useState(graph);
  if (kept === graph) return kept;
  const same = (["nodes", "edges", "warnings", "comparison", "graphType", "durationSeconds"] as const).every((part) => kept?.[part] === graph?.[part]);
  if (same) return kept;
  keep(graph);
  return graph;
}

/** Phones and narrow windows: traffic then flows downwards. */
function useNarrow(): boolean {
  return useSyncExternalStore(
    (changed) => {
      NARROW.addEventListener("change", changed);
      return () => NARROW.removeEventListener("change", changed);
    },
    () => NARROW.matches,
  );
}

interface StageProperties {
  graph: TrafficGraph | undefined;
  failed: boolean;
  pending: boolean;
  children: React.ReactNode;
}

function Stage({ graph, failed, pending, children }: StageProperties) {
  const { t } = useLanguage();
  const waiting = graph === undefined ? !failed : pending && graph.nodes.length > 0;
  return (
    <div className="stage-main">
      {failed && graph === undefined && <p className="page-note">{t("nothingYet")}</p>}
      {waiting && <p className="page-note">{t(graph === undefined ? "loading" : "layingOut")}</p>}
      {children}
    </div>
  );
}
