/** What a detail page shows, in its address: tab, time, pod, searches. */
import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";

export const TABS = ["traffic", "pods", "proxy", "config", "logs", "traces"] as const;
export type Tab = (typeof TABS)[number];
export const DETAIL_SECONDS = 600;

export interface DetailAddress {
  tab: Tab;
  at: number | null;
  durationSeconds: number;
  compareSeconds: null;
  pod: string;
  search: string;
  follow: boolean;
  previous: boolean;
  errorsOnly: boolean;
  sort: string;
}

function read(parameters: URLSearchParams): DetailAddress {
  const [at, duration] = [Number(parameters.get("at")), Number(parameters.get("duration"))];
  return {
    tab: TABS.find((tab) => tab === parameters.get("tab")) ?? "traffic",
    at: at > 0 ? at : null,
    durationSeconds: Number.isInteger(duration) && duration > 0 ? duration : DETAIL_SECONDS,
    compareSeconds: null,
    pod: parameters.get("pod") ?? "",
    search: parameters.get("q") ?? "",
    follow: parameters.get("follow") !== "false",
    previous: parameters.get("previous") === "true",
    errorsOnly: parameters.get("errors") === "true",
    sort: parameters.get("sort") ?? "",
  };
}

export function writeDetail(address: DetailAddress): URLSearchParams {
  const parameters = new URLSearchParams();
  if (address.tab !== "traffic") parameters.set("tab", address.tab);
  if (address.at !== null) parameters.set("at", String(address.at));
  if (address.durationSeconds !== DETAIL_SECONDS) parameters.set("duration", String(address.durationSeconds));
  if (address.pod !== "") parameters.set("pod", address.pod);
  if (address.search !== "") parameters.set("q", address.search);
  if (!address.follow) parameters.set("follow", "false");
  if (address.previous) parameters.set("previous", "true");
  if (address.errorsOnly) parameters.set("errors", "true");
  if (address.sort !== "") parameters.set("sort", address.sort);
  return parameters;
}

export type ChangeDetail = (change: Partial<DetailAddress>) => void;

export function useDetailAddress(): [DetailAddress, ChangeDetail] {
  const [parameters, setParameters] = useSearchParams();
  const address = useMemo(() => read(parameters), [parameters]);
  const change = useCallback<ChangeDetail>(
    (changed) => setParameters((current) => writeDetail({ ...read(current), ...changed }), { replace: !("tab" in changed) }),
    [setParameters],
  );
  return [address, change];
}
