/** One container's log: its end, then what follows, for as long as it is followed; begun again when the container was. */
import { useEffect, useRef, useState } from "react";
import { readLog, type LogPlace } from "../../api/pages";
import { addText, NO_TEXT, type LogText } from "../../domain/logLines";

const TAIL = 500;
const SHOW_MILLISECONDS = 150;
const RETRY_MILLISECONDS = 2000;

export type LogState = "loading" | "live" | "ended" | "failed" | "paused";

export function useLog({ namespace, pod, container }: LogPlace, follow: boolean, previous: boolean): { text: LogText; state: LogState; error: string } {
  const [text, setText] = useState<LogText>(NO_TEXT);
  const [state, setState] = useState<LogState>("loading");
  const [error, setError] = useState("");
  const key = `${namespace}/${pod}/${container}/${previous}`;
  const shownKey = useRef("");
  useEffect(() => {
    const aborted = new AbortController();
    let timer = 0;
    let retry = 0;
    const fresh = shownKey.current !== key;
    if (!follow && !fresh) return setState("paused"); // What has been read stays; nothing more comes.
    const read = async (): Promise<void> => {
      let collected = NO_TEXT;
      const show = () => {
        timer = 0;
        setText(collected);
        setError("");
        setState(follow ? "live" : "paused");
      };
      try {
        await readLog(
          { namespace, pod, container },
          { follow: follow && !previous, previous, tail: TAIL },
          (piece) => {
            collected = addText(collected, piece);
            if (timer === 0) timer = window.setTimeout(show, SHOW_MILLISECONDS);
          },
          aborted.signal,
        );
        window.clearTimeout(timer);
        show();
        setError("");
        setState("ended");
      } catch (problem) {
        if (aborted.signal.aborted) return;
        setError(problem instanceof Error ? problem.message : String(problem));
        setState("failed");
      }
      shownKey.current = key;
      if (follow && !previous && !aborted.signal.aborted) retry = window.setTimeout(() => void read(), RETRY_MILLISECONDS);
    };
    if (fresh) {
      setText(NO_TEXT);
      setState("loading");
      setError("");
      shownKey.current = key;
    }
    void read();
    return () => {
      aborted.abort();
      window.clearTimeout(timer);
      window.clearTimeout(retry);
    };
  }, [namespace, pod, container, follow, previous, key]);
  return { text, state, error };
}
