import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { readAddress, writeAddress, type GraphAddress } from "../../domain/address";

export function useGraphAddress(): [GraphAddress, (change: Partial<GraphAddress>) => void] {
  const [parameters, setParameters] = useSearchParams();
  const address = useMemo(() => readAddress(parameters), [parameters]);
  const change = useCallback(
    (changed: Partial<GraphAddress>) => {
      const keep = Object.keys(changed).every((name) => ["selection", "label", "at", "find", "hide", "pins"].includes(name));
      // Another arrangement has pins of its own.
      const pins = "graphType" in changed || "namespaces" in changed ? { pins: {} } : {};
      setParameters((current) => writeAddress({ ...readAddress(current), ...pins, ...changed }), { replace: keep });
    },
    [setParameters],
  );
  return [address, change];
}
