import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { readAddress, writeAddress, type GraphAddress } from "../../domain/address";

export function useGraphAddress(): [GraphAddress, (change: Partial<GraphAddress>) => void] {
  const [parameters, setParameters] = useSearchParams();
  const address = useMemo(() => readAddress(parameters), [parameters]);
  const change = useCallback(
    (changed: Partial<GraphAddress>) => {
      const keep = Object.keys(changed).every((name) => ["selection", "label", "at", "find", "hide"].includes(name));
      setParameters((current) => writeAddress({ ...readAddress(current), ...changed }), { replace: keep });
    },
    [setParameters],
  );
  return [address, change];
}
