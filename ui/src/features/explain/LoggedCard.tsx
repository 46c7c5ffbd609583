/** A request that was really made: why it went there, what became of it, and whether it would go there today. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { fetchLoggedExplanation, type LoggedExplanation, type LoggedQuestion, type Remark } from "../../api/client";
import { useLanguage } from "../../app/language";
import { en, type TextKey } from "../../app/texts";
import { FailureBanner } from "../../shared/failure";
import { Loading } from "../../shared/states";
import { ReasonList, ResponsibleList } from "../requests/ResponsibleList";
import { Answer } from "./ExplainPage";

export function LoggedCard({ question }: { question: LoggedQuestion }) {
  const { t, language } = useLanguage();
  const answer = useQuery({
    queryKey: ["explain logged", question, language],
    queryFn: ({ signal }) => fetchLoggedExplanation({ ...question, language }, signal),
    retry: false,
  });
  return (
    <>
      {answer.error !== null && <FailureBanner error={answer.error} />}
      {answer.isFetching && answer.data === undefined && <Loading />}
      {answer.data !== undefined && answer.error === null && (
        <>
          <Told told={answer.data} />
          {answer.data.unknown !== "" && <p className="soft">{t("explainUnknown", { reason: answer.data.unknown })}</p>}
          {answer.data.explanation !== null && (
            <>
              <h2 className="explain-today">{t("explainToday")}</h2>
              <Answer answer={answer.data.explanation} />
            </>
          )}
        </>
      )}
    </>
  );
}

function Told({ told }: { told: LoggedExplanation }) {
  const { t, language } = useLanguage();
  const { entry } = told;
  const address = entry.method === "" ? entry.upstream_cluster || entry.downstream_local_address : `${entry.method} ${entry.authority}${entry.path}`;
  return (
    <section className="explain-card" aria-label={t("explainLogged")}>
      <h2>
        {address} {entry.response_code > 0 && entry.response_code}
      </h2>
      <p className="soft">
        {t(`side.${told.side}`)} · {told.namespace}/{told.pod} · {new Date(entry.time * 1000).toLocaleString(language, { hour12: false })}
      </p>
      <h3>{t("why")}</h3>
      <ReasonList reasons={told.reasons} />
      <ResponsibleList objects={told.responsible} />
      <h3>{t("explainWay")}</h3>
      <ul className="request-reasons">
        {told.remarks.map((remark, index) => (
          <RemarkLine key={index} remark={remark} />
        ))}
      </ul>
    </section>
  );
}

function RemarkLine({ remark: { code, parameters, change } }: { remark: Remark }) {
  const { t, language } = useLanguage();
  const key = `explainRemark.${code}`;
  return (
    <li>
      {key in en ? t(key as TextKey, parameters) : `${code} ${Object.values(parameters).join(" ")}`}
      {change !== null && (
        <>
          {" "}
          <Link to={`/changes?${new URLSearchParams({ change: change.id }).toString()}`}>
            {change.kind} {change.namespace}/{change.name}
          </Link>
          , {t(`operation.${change.operation}`)}, {new Date(change.time * 1000).toLocaleString(language, { hour12: false })}, {change.author}
        </>
      )}
    </li>
  );
}
