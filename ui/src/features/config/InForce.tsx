/** How far an object has got: how many of its proxies have acknowledged it, of how many. */
import { useQuery } from "@tanstack/react-query";
import { fetchDistribution } from "../../api/client";
import { useText } from "../../app/language";
import { byObject, stateOf, type Place } from "../../domain/distribution";
import { FailureBanner } from "../../shared/failure";
import { Icon } from "../../shared/icons";
import { Warning } from "../../shared/states";

const REFRESH_MILLISECONDS = 5000;

export function useDistribution() {
  const query = useQuery({ queryKey: ["distribution"], queryFn: ({ signal }) => fetchDistribution(signal), refetchInterval: REFRESH_MILLISECONDS });
  return { ...query, distributed: query.data === undefined ? undefined : byObject(query.data) };
}

type Asked = ReturnType<typeof useDistribution>;

/** One cell of the list. An old answer is not shown as if it were new. */
export function InForceMark({ asked, place }: { asked: Asked; place: Place }) {
  const t = useText();
  if (asked.error !== null) return <span title={asked.error.message}>{t("inForceUnknown")}</span>;
  if (asked.distributed === undefined) return <span className="soft">{t("loading")}</span>;
  const { state, object } = stateOf(asked.distributed, place);
  if ((object === undefined || state === "none") && (asked.data?.silent.length ?? 0) > 0) return <span title={t("inForceNotKnown")}>{t("inForceUnknown")}</span>;
  if (object === undefined || state === "none") return <span className="soft">–</span>;
  if (state === "refused")
    return (
      <span className="with-icon finding-mark" title={object.refused}>
        <Icon name="warning" size={15} /> {t("inForceRefused")}
      </span>
    );
  const text = t("ofMany", { count: object.acknowledged, all: object.proxies });
  if (state === "whole") return <span>{text}</span>;
  return (
    <span className="with-icon finding-mark" title={object.waiting.join("\n")}>
      <Icon name="clock" size={15} /> {text}
    </span>
  );
}

/** Above what is sent to proxies: nobody sends it now. */
export function ControlPlaneSilent({ asked }: { asked: Asked }) {
  const t = useText();
  if (asked.data === undefined || asked.data.answering > 0) return null;
  return (
    <p className="notice with-icon" role="status">
      <Icon name="warning" size={16} /> <span>{t("controlPlaneSilent")}</span>
    </p>
  );
}

/** The part of an object's page. */
export function InForcePanel({ place }: { place: Place }) {
  const t = useText();
  const asked = useDistribution();
  const silent = asked.data?.silent ?? [];
  return (
    <section aria-label={t("inForce")}>
      <h2 className="part">{t("inForce")}</h2>
      {asked.error !== null && <FailureBanner error={asked.error} />}
      {asked.error === null && asked.distributed === undefined && <p className="soft">{t("loading")}</p>}
      <ControlPlaneSilent asked={asked} />
      {asked.data?.warnings.map((warning) => <Warning key={warning.code} {...warning} />)}
      {asked.error === null && asked.distributed !== undefined && <InForceText asked={asked} place={place} />}
      {asked.error === null && silent.length > 0 && (asked.data?.answering ?? 0) > 0 && (
        <p className="with-icon soft">
          <Icon name="warning" size={15} /> {t("inForceSilent", { names: silent.join(", ") })}
        </p>
      )}
    </section>
  );
}

function InForceText({ asked, place }: { asked: Asked; place: Place }) {
  const t = useText();
  const { state, object } = stateOf(asked.distributed ?? new Map(), place);
  if (object === undefined || state === "none") return <p className="soft">{t((asked.data?.silent.length ?? 0) > 0 ? "inForceNotKnown" : "inForceNowhere")}</p>;
  return (
    <>
      {state === "refused" && (
        <p className="with-icon finding-mark" role="alert">
          <Icon name="warning" size={15} /> {t("inForceRefused")}: {object.refused}
        </p>
      )}
      <p role="status">{t("inForceOf", { count: object.acknowledged, all: object.proxies })}</p>
      {object.waiting.length > 0 && (
        <>
          <p className="soft">{t("inForceWaiting")}</p>
          <ul className="plain">
            {object.waiting.map((name) => (
              <li key={name}>
                <code>{name}</code>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
