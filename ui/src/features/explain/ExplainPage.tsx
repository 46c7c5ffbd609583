/** Why a request would go where it goes, decision by decision; the address holds the question. */
import { useQuery } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { Link, useSearchParams } from "react-router";
import { fetchExplanation, fetchWorkloads, type ExplainedStep, type Explanation, type LoggedQuestion } from "../../api/client";
import { useLanguage, useText, type Translate } from "../../app/language";
import "../../app/pages.css";
import { tellStep } from "../../app/stepTexts";
import { en, type TextKey } from "../../app/texts";
import { objectAddress } from "../../domain/configAddress";
import { questionLike, readLogged } from "../../domain/explained";
import { FailureBanner } from "../../shared/failure";
import { Loading } from "../../shared/states";
import { LoggedCard } from "./LoggedCard";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

export default function ExplainPage() {
  const t = useText();
  const [parameters, setParameters] = useSearchParams();
  const text = parameters.get("logged");
  const logged = text === null ? null : (readLogged(text) as LoggedQuestion);
  const question = {
    source: parameters.get("source") ?? "",
    url: parameters.get("url") ?? "",
    method: parameters.get("method") ?? "GET",
    header: parameters.get("header") ?? "",
  };
  const answer = useQuery({
    queryKey: ["explain", question],
    queryFn: ({ signal }) => fetchExplanation(question, signal),
    enabled: question.source !== "" && question.url !== "",
    retry: false,
  });
  const ask = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget);
    const next = new URLSearchParams();
    for (const [name, value] of given) if (typeof value === "string" && value.trim() !== "") next.set(name, value.trim());
    if (next.toString() === parameters.toString()) void answer.refetch();
    else setParameters(next);
  };
  return (
    <div className="list-page explain">
      <title>{`${t("explainRequest")} · Kaiki`}</title>
      <header className="list-head">
        <h1>{t("explainTitle")}</h1>
      </header>
      <div className="explain-body" tabIndex={0} role="region" aria-label={t("explainRequest")}>
        {logged !== null && <LoggedCard question={logged} />}
        <section className="explain-card">
          <p className="soft">{t("explainHint")}</p>
          <QuestionForm key={parameters.toString()} question={logged === null ? question : questionLike(logged)} ask={ask} />
        </section>
        {answer.error !== null && <FailureBanner error={answer.error} />}
        {answer.isFetching && answer.data === undefined && <Loading />}
        {answer.data !== undefined && answer.error === null && <Answer answer={answer.data} />}
      </div>
    </div>
  );
}

interface QuestionProperties {
  question: { source: string; url: string; method: string; header: string };
  ask: (event: FormEvent<HTMLFormElement>) => void;
}

function QuestionForm({ question, ask }: QuestionProperties) {
  const t = useText();
  const workloads = useQuery({ queryKey: ["workloads"], queryFn: ({ signal }) => fetchWorkloads(signal) });
  return (
    <form className="explain-form" onSubmit={ask}>
      <label>
        <span>{t("explainSource")}</span>
        <input name="source" list="explain-sources" required defaultValue={question.source} placeholder="default/productpage-v1" size={30} />
      </label>
      <datalist id="explain-sources">
        {(workloads.data?.items ?? []).map((item) => (
          <option key={`${item.namespace}/${item.name}`} value={`${item.namespace}/${item.name}`} />
        ))}
      </datalist>
      <label>
        <span>{t("explainMethod")}</span>
        <select name="method" defaultValue={question.method}>
          {[...new Set([...METHODS, question.method])].map((method) => (
            <option key={method}>{method}</option>
          ))}
        </select>
      </label>
      <label className="explain-wide">
        <span>{t("explainUrl")}</span>
        <input name="url" required defaultValue={question.url} placeholder="http://reviews:9080/reviews/1" size={40} />
      </label>
      <label className="explain-wide">
        <span>{t("explainHeaders")}</span>
        <textarea name="header" rows={2} defaultValue={question.header} placeholder="end-user: jason" />
      </label>
      <button type="submit" className="control">
        {t("explainRun")}
      </button>
    </form>
  );
}

/** Parts and ends that have a word of their own; others are shown as they are. */
function word(t: Translate, kind: "explainPart" | "explainVerdict", name: string, values: Record<string, string | number> = {}): string {
  const key = `${kind}.${name}`;
  return key in en ? t(key as TextKey, values) : name;
}

export function Answer({ answer }: { answer: Explanation }) {
  const t = useText();
  const arrives = answer.location === "" ? answer.host + answer.path : "";
  return (
    <>
      <section className="explain-card" aria-live="polite">
        <h2>{word(t, "explainVerdict", answer.verdict === "refused" && answer.status > 0 ? "denied" : answer.verdict, { status: answer.status })}</h2>
        <p className="soft">{t("explainProxy", { name: answer.proxy })}</p>
        <ul>
          {answer.location !== "" && <li>{t("explainLocation", { address: answer.location })}</li>}
          {arrives !== "" && <li>{t("explainAs", { address: arrives })}</li>}
          {answer.timeoutSeconds > 0 && <li>{t("explainTimeout", { seconds: answer.timeoutSeconds })}</li>}
          {answer.retries > 0 && <li>{t("explainRetries", { count: answer.retries })}</li>}
        </ul>
      </section>
      {answer.clusters.length + answer.mirrors.length > 0 && (
        <section className="explain-card">
          <h2>{t("explainTargets")}</h2>
          <ul>
            {answer.clusters.map((share, index) => (
              <li key={index}>
                {formatShare(share.percent)} → <code>{share.cluster}</code>
              </li>
            ))}
            {answer.mirrors.map((share) => (
              <li key={`copy ${share.cluster}`}>
                {t("explainCopy", { share: formatShare(share.percent) })} → <code>{share.cluster}</code>
              </li>
            ))}
          </ul>
        </section>
      )}
      <Steps title={t("explainSteps")} steps={answer.steps} />
      {answer.passedOver.length > 0 && <Steps title={t("explainPassedOver")} steps={answer.passedOver} />}
    </>
  );
}

const formatShare = (percent: number) => `${Number(percent.toFixed(1))}%`;

function Steps({ title, steps }: { title: string; steps: readonly ExplainedStep[] }) {
  const { t, language } = useLanguage();
  return (
    <section className="explain-card">
      <h2>{title}</h2>
      <ol className="explain-steps">
        {steps.map((step, index) => (
          <li key={index}>
            <strong>{word(t, "explainPart", step.part)}</strong>
            <span>
              {step.name !== "" && <code>{step.name}</code>} {tellStep(step, language)}
            </span>
            <Origin step={step} />
          </li>
        ))}
      </ol>
    </section>
  );
}

function Origin({ step }: { step: ExplainedStep }) {
  const t = useText();
  if (step.object === null) return null;
  const name = `${step.object.kind} ${step.object.namespace}/${step.object.name}`;
  const line = step.field === "" ? 0 : step.line;
  const place = line > 0 && <span>{t("explainLine", { line })}</span>;
  return (
    <div className="soft">
      {t("explainFrom")}{" "}
      {step.object.apiVersion === "" ? (
        <>
          {name} {step.field !== "" && <code>{step.field}</code>}
        </>
      ) : (
        <Link to={objectAddress(step.object, line)}>
          {name} {step.field !== "" && <code>{step.field}</code>} {place}
        </Link>
      )}
    </div>
  );
}
