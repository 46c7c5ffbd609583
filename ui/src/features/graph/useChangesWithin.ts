/** The journal's changes of the time that a plot shows, asked once for all plots of the same time. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { fetchChanges, type ConfigChange } from "../../api/client";
import { usePolling } from "../../shared/useEvents";

interface Within {
  from: number | undefined;
  /** Null while live. */
  until: number | null;
  spanSeconds: number;
  /** Where the changes are; everywhere without it. Keep it the same array. */
  namespaces?: readonly string[] | undefined;
}

const REFRESH_MILLISECONDS = 5000;
const NONE: readonly ConfigChange[] = [];

export function useChangesWithin({ from, until, spanSeconds, namespaces }: Within): readonly ConfigChange[] {
  const polling = usePolling(REFRESH_MILLISECONDS);
  const { data } = useQuery({
    queryKey: ["changes", "plot", until, spanSeconds],
    queryFn: ({ signal }) => fetchChanges({ from, to: until ?? undefined }, signal),
    enabled: from !== undefined,
    refetchInterval: until === null ? polling : false,
    placeholderData: keepPreviousData,
  });
  return useMemo(() => data?.items.filter((item) => namespaces === undefined || namespaces.includes(item.namespace)) ?? NONE, [data, namespaces]);
}
