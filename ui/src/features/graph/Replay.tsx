/** Going through the past: step, slide or play from a time to now; a played graph that reaches now is live again. */
import { useEffect, useState } from "react";
import { useLanguage } from "../../app/language";
import type { GraphAddress } from "../../domain/address";
import { formatWhen } from "../../domain/format";
import { Icon } from "../../shared/icons";
import { ChangeMarks } from "../../shared/ChangeMarks";
import { useChangesWithin } from "./useChangesWithin";
import { durationText } from "./words";

interface Properties {
  at: number;
  change: (change: Partial<GraphAddress>) => void;
}

const SPANS = [300, 900, 3600, 21_600, 86_400, 604_800] as const;
const LONGEST = 604_800;
/** A replay takes this many steps, whatever its span. */
const STEPS = 60;
const TICK_MILLISECONDS = 1000;
/** The slider's ends are half a thumb from those of its frame. */
const THUMB = { left: 8, right: 8, top: 0, height: 24 };

export function Replay({ at, change }: Properties) {
  const { t, language } = useLanguage();
  const [now, setNow] = useState(() => Math.floor(Date.now() / 1000));
  const [span, setSpan] = useState<number>(() => SPANS.find((seconds) => Date.now() / 1000 - at <= seconds) ?? LONGEST);
  const [playing, setPlaying] = useState(false);
  const step = span / STEPS;
  const start = Math.min(now - span, at);
  const changes = useChangesWithin({ from: start, until: Math.ceil(now / 60) * 60, spanSeconds: span });

  useEffect(() => {
    if (!playing) return;
    const timer = window.setTimeout(() => {
      const current = Math.floor(Date.now() / 1000);
      setNow(current);
      change({ at: at + step >= current ? null : at + step });
    }, TICK_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [playing, at, step, change]);

  const move = (seconds: number) => {
    setNow(Math.floor(Date.now() / 1000));
    change({ at: Math.min(seconds, Math.floor(Date.now() / 1000)) });
  };
  const play = () => {
    // From the end there is nothing left to play: begin the span anew.
    if (!playing && at >= now - step) change({ at: now - span });
    setPlaying(!playing);
  };
  return (
    <div className="replay" role="group" aria-label={t("replay")}>
      <button type="button" className="icon-button" onClick={() => move(at - step)} aria-label={t("stepBack", { time: durationText(step, t) })} title={t("stepBack", { time: durationText(step, t) })}>
        <Icon name="back" size={16} />
      </button>
      <button type="button" className="icon-button" onClick={play} aria-label={t(playing ? "pausePlaying" : "play")} title={t(playing ? "pausePlaying" : "play")}>
        <Icon name={playing ? "pause" : "play"} size={16} />
      </button>
      <button type="button" className="icon-button" onClick={() => move(at + step)} aria-label={t("stepOn", { time: durationText(step, t) })} title={t("stepOn", { time: durationText(step, t) })}>
        <Icon name="forward" size={16} />
      </button>
      <span className="replay-line">
      <input
        type="range"
        min={start}
        max={now}
        step={1}
        value={at}
        aria-label={t("replay")}
        aria-valuetext={formatWhen(at, language)}
        onChange={(event) => move(Number(event.target.value))}
      />
      <ChangeMarks changes={changes} first={start} last={now} area={THUMB} />
      </span>
      <time className="replay-time">{formatWhen(at, language)}</time>
      <label className="choice">
        <span>{t("replay")}</span>
        <select value={span} onChange={(event) => setSpan(Number(event.target.value))}>
          {SPANS.map((seconds) => (
            <option key={seconds} value={seconds}>
              {t("lastSpan", { time: durationText(seconds, t) })}
            </option>
          ))}
        </select>
      </label>
      <button type="button" className="control" onClick={() => change({ at: null })}>
        {t("resume")}
      </button>
    </div>
  );
}
