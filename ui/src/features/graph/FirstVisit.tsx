/** No traffic: says so, and what to do about it. */
import { useText } from "../../app/language";
import type { GraphAddress } from "../../domain/address";
import { Command } from "../../shared/Command";
import { Sailboat } from "../../shared/icons";
import { durationText } from "./words";

interface Properties {
  address: GraphAddress;
  change: (change: Partial<GraphAddress>) => void;
}

export function FirstVisit({ address, change }: Properties) {
  const t = useText();
  const past = address.at !== null;
  return (
    <section className="first-visit">
      <Sailboat />
      <h1>{t(past ? "emptyPast" : "emptyTitle")}</h1>
      {!past && <Steps window={durationText(address.durationSeconds, t)} />}
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

function Steps({ window }: { window: string }) {
  const t = useText();
  return (
    <>
      <p>{t("emptyText", { window: window })}</p>
      <ol>
        <li>
          {t("emptyStep1")}
          <Command text="kubectl label namespace default istio-injection=enabled" />
        </li>
        <li>
          {t("emptyStep2")}
          <Command text="kubectl rollout restart deployment -n default" />
        </li>
        <li>
          {t("emptyStep3")}
          <Command text={'eval "$(kaiki env)"; curl -i "$KAIKI_GATEWAY_URL/productpage"'} />
          <p className="soft">{t("emptyCluster")}</p>
          <Command text="kubectl get svc -n istio-system istio-ingressgateway" />
        </li>
      </ol>
    </>
  );
}
