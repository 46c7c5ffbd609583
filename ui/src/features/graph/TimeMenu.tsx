/** Which time the graph shows: the last minutes, or from one time to another; and what it is compared with. */
import { useState } from "react";
import "../../app/marks.css";
import { useLanguage } from "../../app/language";
import { COMPARISONS, DURATIONS, type GraphAddress } from "../../domain/address";
import { formatBeside, formatWhen, localInput, readLocalInput } from "../../domain/format";
import { Menu } from "../../shared/Menu";
import { durationText } from "./words";

type Times = Pick<GraphAddress, "at" | "durationSeconds" | "compareSeconds"> & Partial<Pick<GraphAddress, "compareAt">>;

/** What the console's API takes at most. */
const LONGEST_SECONDS = 30 * 86_400;
/** The browser's clock may be behind the server's. */
const CLOCK_SECONDS = 60;

interface Properties {
  address: Times;
  change: (change: Partial<Times>) => void;
  /** Whether another time can be chosen to compare with. */
  comparing?: boolean;
}

export function TimeMenu({ address, change, comparing = true }: Properties) {
  const { t, language } = useLanguage();
  const { at, durationSeconds, compareSeconds, compareAt = null } = address;
  const window = at === null ? durationText(durationSeconds, t) : `${formatWhen(at - durationSeconds, language)} – ${formatBeside(at, at - durationSeconds, language)}`;
  const compared =
    compareAt !== null
      ? ` · ${t("comparedShortAt", { time: at === null ? formatWhen(compareAt, language) : formatBeside(compareAt, at, language) })}`
      : compareSeconds === null
        ? ""
        : ` · ${t("comparedShort", { time: durationText(compareSeconds, t) })}`;
  return (
    <Menu
      end
      label={
        <span>
          <span className="hidden">{t("window")}: </span>
          {window + compared}
        </span>
      }
    >
      <fieldset className="menu-group">
        <legend>{t("window")}</legend>
        <div className="pills">
          {DURATIONS.map((seconds) => (
            <button key={seconds} type="button" className="control" aria-pressed={seconds === durationSeconds} onClick={() => change({ durationSeconds: seconds })}>
              {durationText(seconds, t)}
            </button>
          ))}
        </div>
        <DurationForm change={change} />
      </fieldset>
      <RangeForm key={`${at}|${durationSeconds}`} address={address} change={change} />
      {comparing && (
        <fieldset className="menu-group">
          <legend>{t("compareWith")}</legend>
          <div className="pills">
            <button type="button" className="control" aria-pressed={compareSeconds === null && compareAt === null} onClick={() => change({ compareSeconds: null, compareAt: null })}>
              {t("compareOff")}
            </button>
            {COMPARISONS.map((seconds) => (
              <button key={seconds} type="button" className="control" aria-pressed={compareAt === null && seconds === compareSeconds} onClick={() => change({ compareSeconds: seconds, compareAt: null })}>
                {t("ago", { time: durationText(seconds, t) })}
              </button>
            ))}
          </div>
          <BaselineForm key={`${at}|${compareAt}`} address={address} change={change} />
        </fieldset>
      )}
    </Menu>
  );
}

/** An absolute range. It starts from what is shown now, and is sent when it is whole and the right way round. */
function RangeForm({ address, change }: Omit<Properties, "comparing">) {
  const { t } = useLanguage();
  const [now] = useState(() => Math.floor(Date.now() / 1000));
  const end = address.at ?? now;
  const [from, setFrom] = useState(() => localInput(end - address.durationSeconds));
  const [to, setTo] = useState(() => localInput(end));
  const [first, last] = [readLocalInput(from), readLocalInput(to)];
  const problem = rangeProblem(first, last, now);
  const valid = first !== null && last !== null && problem === null;
  return (
    <form
      className="menu-group range-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) change({ at: last, durationSeconds: last - first });
      }}
    >
      <label>
        {t("rangeFrom")}
        <input type="datetime-local" step="1" value={from} onChange={(event) => setFrom(event.target.value)} />
      </label>
      <label>
        {t("rangeTo")}
        <input type="datetime-local" step="1" value={to} onChange={(event) => setTo(event.target.value)} />
      </label>
      <button type="submit" className="control" disabled={!valid}>
        {t("rangeApply")}
      </button>
      {problem !== null && <output className="wrong">{t(`range.${problem}`)}</output>}
    </form>
  );
}

/** Why a range cannot be shown; null for one that can, or that is not whole yet. */
function rangeProblem(first: number | null, last: number | null, now: number): "order" | "future" | "long" | null {
  if (first === null || last === null) return null;
  if (first >= last) return "order";
  if (last > now + CLOCK_SECONDS) return "future";
  return last - first > LONGEST_SECONDS ? "long" : null;
}

const UNITS = { minutes: 60, hours: 3600, days: 86_400 } as const;

/** A relative range of any length. */
function DurationForm({ change }: Pick<Properties, "change">) {
  const { t } = useLanguage();
  const [count, setCount] = useState("15");
  const [unit, setUnit] = useState<keyof typeof UNITS>("minutes");
  const seconds = /^\d{1,5}$/.test(count) ? Number(count) * UNITS[unit] : 0;
  const valid = seconds > 0 && seconds <= LONGEST_SECONDS;
  return (
    <form
      className="duration-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) change({ durationSeconds: seconds });
      }}
    >
      <label>
        <span>{t("rangeLast")}</span>
        <input type="number" min="1" step="1" required value={count} onChange={(event) => setCount(event.target.value)} />
      </label>
      <select aria-label={t("rangeUnit")} value={unit} onChange={(event) => setUnit(event.target.value as keyof typeof UNITS)}>
        {(["minutes", "hours", "days"] as const).map((name) => (
          <option key={name} value={name}>
            {t(`rangeUnit.${name}`)}
          </option>
        ))}
      </select>
      <button type="submit" className="control" disabled={!valid}>
        {t("rangeSet")}
      </button>
    </form>
  );
}

/** A moment to compare with, whatever is shown: it stays while the graph goes on. */
function BaselineForm({ address, change }: Omit<Properties, "comparing">) {
  const { t } = useLanguage();
  const [now] = useState(() => Math.floor(Date.now() / 1000));
  const start = address.compareAt ?? (address.at ?? now) - 600;
  const [text, setText] = useState(() => localInput(start));
  const moment = readLocalInput(text);
  const valid = moment !== null && moment < (address.at ?? now);
  return (
    <form
      className="range-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (valid) change({ compareAt: moment, compareSeconds: null });
      }}
    >
      <label>
        {t("compareMoment")}
        <input type="datetime-local" step="1" value={text} onChange={(event) => setText(event.target.value)} />
      </label>
      <button type="submit" className="control" disabled={!valid}>
        {t("compareApply")}
      </button>
      {moment !== null && !valid && <output className="wrong">{t("range.baseline")}</output>}
    </form>
  );
}
