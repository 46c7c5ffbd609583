/** The change journal: who changed what and when, the difference, and the way back. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useSearchParams } from "react-router";
import { ApiError, deleteObject, fetchChange, fetchChanges, fetchMe, fetchObject, saveObject, type ChangeDetails, type ConfigChange } from "../../api/client";
import { untilAnswered } from "../../api/queries";
import { useLanguage } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import { FailureBanner } from "../../shared/failure";
import { Icon } from "../../shared/icons";
import { ListPage } from "../../shared/ListPage";
import { usePolling } from "../../shared/useEvents";
import { RightsNote } from "../access/RightsNote";
import { useRights, type Wish } from "../access/useRights";
import { Difference } from "./Difference";
import { IdentityNote } from "./IdentityNote";
import { Question } from "./ObjectPage";

export default function ChangesPage() {
  const { t, language } = useLanguage();
  const [parameters, setParameters] = useSearchParams();
  const filters = Object.fromEntries(["kind", "namespace", "name", "from", "to"].map((name) => [name, parameters.get(name) ?? ""]));
  const query = useQuery({ queryKey: ["changes", filters], queryFn: ({ signal }) => fetchChanges(filters, signal), refetchInterval: usePolling(5000) || untilAnswered });
  const chosen = parameters.get("change");
  const filtered = Object.values(filters).some((value) => value !== "");
  return (
    <ListPage
      title={t("configChanges")}
      items={query.data?.items}
      query={query}
      columns={[t("time"), t("operation"), t("kind"), t("name"), t("namespace"), t("author")]}
      searchText={(item) => `${item.kind} ${item.name} ${item.namespace} ${item.author} ${item.operation}`}
      tools={
        filtered && (
          <Link className="control" to="/changes">
            <Icon name="close" size={15} /> {[filters["kind"], filters["name"]].filter(Boolean).join(" ") || t("timeRange")}
          </Link>
        )
      }
      row={(item) => (
        <tr key={item.id} className={item.id === chosen ? "selected" : ""}>
          <td className="when">{new Date(item.time * 1000).toLocaleString(language, { dateStyle: "short", timeStyle: "medium", hour12: false })}</td>
          <td>{t(`operation.${item.operation}`)}</td>
          <td>{item.kind}</td>
          <td>
            <button
              type="button"
              className="link"
              onClick={() =>
                setParameters((before) => {
                  const next = new URLSearchParams(before);
                  next.set("change", item.id);
                  return next;
                })
              }
            >
              {item.name}
            </button>
          </td>
          <td>{item.namespace}</td>
          <td className="soft">{item.author.replace("system:serviceaccount:", "")}</td>
        </tr>
      )}
      side={
        <aside className="panel panel-wide" aria-label={t("difference")}>
          {chosen === null ? <p className="soft">{t("changesHint")}</p> : <Change key={chosen} id={chosen} />}
        </aside>
      }
    />
  );
}

function Change({ id }: { id: string }) {
  const { t, language } = useLanguage();
  const query = useQuery({ queryKey: ["change", id], queryFn: ({ signal }) => fetchChange(id, signal), staleTime: Infinity });
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => fetchMe(signal), staleTime: 60_000 });
  const details = query.data;
  if (query.error !== null && details === undefined) return <FailureBanner error={query.error} />;
  if (details === undefined) return <p className="soft">{t("loading")}</p>;
  const { change, before, after } = details;
  return (
    <>
      <header className="panel-head">
        <span className="panel-kind">
          {t(`operation.${change.operation}`)} · {change.kind}
        </span>
        <h2>{change.name}</h2>
        <p className="soft">
          {change.namespace} · {change.author} · {new Date(change.time * 1000).toLocaleString(language)}
        </p>
      </header>
      {change.operation !== "rollout" && !change.omitted && <WayBack details={details} mayChange={me.data?.canChange === true} />}
      {me.data?.canChange === false && <IdentityNote me={me.data} />}
      {change.omitted ? <p className="soft">{t("changeOmitted")}</p> : <Difference before={before} after={after} />}
    </>
  );
}

function WayBack({ details, mayChange }: { details: ChangeDetails; mayChange: boolean }) {
  const { t } = useLanguage();
  const queries = useQueryClient();
  const [asking, setAsking] = useState<"before" | "after" | null>(null);
  const { change } = details;
  const wishes = [...new Set([wayTo(change, details.before), wayTo(change, details.after)])];
  const rights = useRights(mayChange ? wishes.map((wish): Wish => ({ object: change, change: wish })) : []);
  const go = useMutation({
    mutationFn: (side: "before" | "after") => restore(change, details[side]),
    onSuccess: () => {
      setAsking(null);
      void queries.invalidateQueries();
      // The journal gathers for a moment before it writes.
      window.setTimeout(() => void queries.invalidateQueries({ queryKey: ["changes"] }), 1500);
    },
  });
  const name = `${change.kind} ${change.namespace}/${change.name}`;
  return (
    <>
      <p className="object-tools">
        <button type="button" className="control" disabled={!mayChange || !rights.allows(wayTo(change, details.before))} onClick={() => setAsking("before")}>
          <Icon name="retry" size={15} /> {t("returnBefore")}
        </button>
        {details.after !== "" && (
          <button type="button" className="control" disabled={!mayChange || !rights.allows(wayTo(change, details.after))} onClick={() => setAsking("after")}>
            {t("returnAfter")}
          </button>
        )}
        <Link className="control" to={objectAddress(change)}>
          {t("openObject")}
        </Link>
      </p>
      <RightsNote answer={rights} />
      {asking !== null && (
        <Question
          text={t(details[asking] === "" ? "returnDeletes" : "returnQuestion", { name })}
          yes={t("returnYes")}
          onYes={() => go.mutate(asking)}
          onNo={() => setAsking(null)}
        />
      )}
      {go.error !== null && <p role="alert">{go.error.message}</p>}
      {go.isSuccess && <p role="status">{t("returned")}</p>}
    </>
  );
}

/** What giving the object this text again needs, as far as the journal tells what is there now. */
function wayTo(change: ConfigChange, text: string): Wish["change"] {
  if (text === "") return "delete";
  return change.operation === "delete" ? "create" : "update";
}

/** Give the object this text again, whatever it is now; no text means that it was not there. */
async function restore(change: ConfigChange, text: string): Promise<void> {
  const current = await fetchObject(change).catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  });
  if (text !== "") await saveObject(text, current?.resourceVersion ?? "");
  else if (current !== null) await deleteObject(change, current.resourceVersion);
}
