/** No traffic: says so, and what to do about it. */
import { useQuery } from "@tanstack/react-query";
import { fetchWorkloads } from "../../api/client";
import { useText } from "../../app/language";
import type { GraphAddress } from "../../domain/address";
import { Command } from "../../shared/Command";
import { ENTER_SHELL, LET_IN, SendSteps } from "../../shared/FirstSteps";
import { Sailboat } from "../../shared/icons";
import { EmptyMesh } from "../overview/EmptyMesh";
import { durationText } from "./words";

/** How soon what has just been deployed is seen. */
const LOOK_MILLISECONDS = 5000;

interface Properties {
  address: GraphAddress;
  change: (change: Partial<GraphAddress>) => void;
}

export function FirstVisit({ address, change }: Properties) {
  const t = useText();
  const past = address.at !== null;
  const { data } = useQuery({ queryKey: ["workloads"], queryFn: ({ signal }) => fetchWorkloads(signal), refetchInterval: LOOK_MILLISECONDS });
  const own = data?.items.filter((one) => !one.infrastructure);
  // What is not known is not said to be missing.
  if (!past && own?.length === 0 && data?.warnings.length === 0) return <EmptyMesh />;
  return (
    <section className="first-visit">
      <Sailboat />
      <h1>{t(past ? "emptyPast" : "emptyTitle")}</h1>
      {!past && <Steps window={durationText(address.durationSeconds, t)} injected={own?.some((one) => one.sidecar) === true} />}
      <div className="actions">
        {past && (
          <button type="button" className="primary" onClick={() => change({ at: null })}>
            {t("resume")}
          </button>
        )}
        {!address.idle && !past && (
          <button type="button" className="primary" onClick={() => change({ idle: true })}>
            {t("emptyIdle")}
          </button>
        )}
        {address.durationSeconds < 3600 && (
          <button type="button" className="control" onClick={() => change({ durationSeconds: 3600 })}>
            {t("emptyWiden")}
          </button>
        )}
        {address.namespaces.length > 0 && (
          <button type="button" className="control" onClick={() => change({ namespaces: [] })}>
            {t("emptyFilter")}
          </button>
        )}
      </div>
    </section>
  );
}

function Steps({ window, injected }: { window: string; injected: boolean }) {
  const t = useText();
  return (
    <>
      <p>{t("emptyText", { window: window })}</p>
      <ol>
        <li>
          {t("emptyShell")}
          <Command text={ENTER_SHELL} />
        </li>
        {!injected && (
          <>
            <li>
              {t("emptyStep1")}
              <Command text={LET_IN} />
            </li>
            <li>
              {t("emptyStep2")}
              <Command text="kubectl rollout restart deployment -n default" />
            </li>
          </>
        )}
        <li>
          {t("emptySendFirst")}
          <SendSteps />
        </li>
      </ol>
    </>
  );
}
