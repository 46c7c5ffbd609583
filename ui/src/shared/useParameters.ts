/** The choices of a page, kept in its address without a step in the history: an empty one is left out. */
import { useSearchParams } from "react-router";

export function useParameters(): [URLSearchParams, (name: string, value: string) => void] {
  const [parameters, setParameters] = useSearchParams();
  const set = (name: string, value: string) =>
    setParameters(
      (before) => {
        const next = new URLSearchParams(before);
        if (value === "") next.delete(name);
        else next.set(name, value);
        return next;
      },
      { replace: true },
    );
  return [parameters, set];
}
