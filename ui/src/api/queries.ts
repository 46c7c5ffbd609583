/** How every query behaves: asked again after a failure that passes by itself, and not after a refusal. */
import type { DefaultOptions } from "@tanstack/react-query";
import { ApiError } from "./client";

export const RETRY_MILLISECONDS = 3000;

/** Whether the same question may be answered later: nobody answered, or somebody could not just now. */
export const passesByItself = (error: Error | null): boolean => error !== null && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500);

/** A `refetchInterval` for what is asked once: again and again while it fails, so that the page recovers by itself. */
export const untilAnswered = (query: { state: { error: Error | null } }): number | false => (passesByItself(query.state.error) ? RETRY_MILLISECONDS : false);

export const QUERY_OPTIONS: NonNullable<DefaultOptions["queries"]> = {
  retry: (failures, error) => failures < 1 && passesByItself(error),
  refetchInterval: untilAnswered,
  refetchOnWindowFocus: true,
  staleTime: 1000,
};
