/** What the server says of a text a moment after it was typed; asked again while nobody answers. */
import { useEffect, useState } from "react";
import { ApiError, checkObject, type Check } from "../../api/client";
import { passesByItself, RETRY_MILLISECONDS } from "../../api/queries";

const DELAY_MILLISECONDS = 500;

/** With a `failure` nothing is known of the text: `checked` is of an earlier one. */
export function useCheck(text: string, resourceVersion: string): { checked: Check | null; failure: ApiError | null } {
  const [checked, setChecked] = useState<Check | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const take = (check: Check) => {
      setChecked(check);
      setFailure(null);
    };
    const ask = () => {
      checkObject({ yaml: text, resourceVersion }, false, stop.signal)
        .then(take)
        .catch((error: unknown) => {
          if (!(error instanceof ApiError) || stop.signal.aborted) return;
          if (!passesByItself(error)) return take({ problems: [{ severity: "Error", message: error.message, hint: error.hint, line: 1, code: "", path: "" }], effect: null });
          setFailure(error);
          timer = window.setTimeout(() => setAttempt((count) => count + 1), RETRY_MILLISECONDS);
        });
    };
    let timer = window.setTimeout(ask, DELAY_MILLISECONDS);
    return () => {
      window.clearTimeout(timer);
      stop.abort();
    };
  }, [text, resourceVersion, attempt]);
  return { checked, failure };
}
