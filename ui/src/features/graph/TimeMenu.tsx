/** Which time the graph shows: the last minutes, or from one time to another; and what it is compared with. */
import { useState } from "react";
import { useLanguage } from "../../app/language";
import { COMPARISONS, DURATIONS, type GraphAddress } from "../../domain/address";
import { formatClock, localInput, readLocalInput } from "../../domain/format";
import { Menu } from "../../shared/Menu";
import { durationText } from "./words";

type Times = Pick<GraphAddress, "at" | "durationSeconds" | "compareSeconds">;

interface Properties {
  address: Times;
  change: (change: Partial<Times>) => void;
  /** Whether another time can be chosen to compare with. */
  comparing?: boolean;
}

export function TimeMenu({ address, change, comparing = true }: Properties) {
  const { t, language } = useLanguage();
  const { at, durationSeconds, compareSeconds } = address;
  const window = at === null ? durationText(durationSeconds, t) : `${formatClock(at - durationSeconds, language)} – ${formatClock(at, language)}`;
  const compared = compareSeconds === null ? "" : ` · ${t("comparedShort", { time: durationText(compareSeconds, t) })}`;
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
      </fieldset>
      <RangeForm key={`${at}|${durationSeconds}`} address={address} change={change} />
      {comparing && (
        <fieldset className="menu-group">
          <legend>{t("compareWith")}</legend>
          <div className="pills">
            <button type="button" className="control" aria-pressed={compareSeconds === null} onClick={() => change({ compareSeconds: null })}>
              {t("compareOff")}
            </button>
            {COMPARISONS.map((seconds) => (
              <button key={seconds} type="button" className="control" aria-pressed={seconds === compareSeconds} onClick={() => change({ compareSeconds: seconds })}>
                {t("ago", { time: durationText(seconds, t) })}
              </button>
            ))}
          </div>
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
  const valid = first !== null && last !== null && first < last;
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
    </form>
  );
}
