import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { readList, writeList, type ListAddress } from "../../domain/list";

export function useList(): [ListAddress, (change: Partial<ListAddress>) => void] {
  const [parameters, setParameters] = useSearchParams();
  const address = useMemo(() => readList(parameters), [parameters]);
  const change = useCallback(
    (changed: Partial<ListAddress>) => setParameters((current) => writeList({ ...readList(current), ...changed }), { replace: "search" in changed }),
    [setParameters],
  );
  return [address, change];
}
