/** What a page says of its own data: loading, partly there, old, failed. */
import { Link } from "react-router";
import { ApiError } from "../api/client";
import { useLanguage, useText } from "../app/language";
import { en, type TextKey } from "../app/texts";
import { formatClock } from "../domain/format";
import { FailureBanner } from "./failure";
import { Icon } from "./icons";

export interface Said {
  code: string;
  message: string;
  /** Unix time of the last answer of the part that does not answer. */
  since?: number;
}

interface Answer {
  warnings?: readonly Said[];
}

/** A query's state above its page. With data, an error means that what is seen is old. */
export function DataState({ data, error, updatedAt, back }: { data: Answer | undefined; error: Error | null; updatedAt: number; back?: { to: string; text: string } }) {
  const { t, language } = useLanguage();
  const missing = error instanceof ApiError && error.status === 404;
  return (
    <>
      {missing && (
        <div className="banner" role="alert">
          <Icon name="warning" size={20} />
          <div>
            <strong>{t("notThere")}</strong>
            <p>{error.message}</p>
            {back !== undefined && <Link to={back.to}>{back.text}</Link>}
          </div>
        </div>
      )}
      {error !== null && !missing && <FailureBanner error={error} staleTime={data === undefined ? undefined : formatClock(updatedAt / 1000, language)} />}
      {data === undefined && error === null && <Loading />}
      {data?.warnings?.map((warning) => <Warning key={warning.code} {...warning} />)}
    </>
  );
}

export function Loading() {
  const t = useText();
  return (
    <p className="page-note" role="status">
      {t("loading")}
    </p>
  );
}

export function Warning({ code, message, since }: Said) {
  const { t, language } = useLanguage();
  const known = code === "metricsUnavailable" ? "partMetrics" : (`warning.${code}` as TextKey);
  const text = known in en ? t(known, { time: since === undefined ? "–" : formatClock(since, language) }) : message;
  return (
    <p className="notice with-icon" role="status">
      <Icon name="warning" size={16} /> <span>{text}</span>
      {code === "metricsUnavailable" && <code>{message}</code>}
    </p>
  );
}

/** When the data is from; says so plainly when it is of the past. */
export function Freshness({ at, updatedAt, fetching, back }: { at: number | null; updatedAt: number; fetching: boolean; back: () => void }) {
  const { t, language } = useLanguage();
  if (at !== null)
    return (
      <button type="button" className="control" onClick={back}>
        <Icon name="clock" size={15} /> {t("resume")}
      </button>
    );
  if (updatedAt === 0 && !fetching) return null; // It failed: the banner says so.
  return (
    <span className="freshness soft">
      <span className={fetching ? "pulse busy" : "pulse"} aria-hidden="true" />
      {updatedAt === 0 ? t("loading") : t("updated", { time: formatClock(updatedAt / 1000, language) })}
    </span>
  );
}
