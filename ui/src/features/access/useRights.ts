/** What the user may do with the objects at hand, asked in one batch before they try. */
import { useQuery } from "@tanstack/react-query";
import { fetchRights, type Rights, type RightsQuestion } from "../../api/access";
import { missingRights, type Change, type Missing } from "../../domain/rights";

const FRESH_MILLISECONDS = 15_000;

export interface Wish {
  object: RightsQuestion;
  change: Change;
}

export interface Answer {
  told: Rights | undefined;
  missing: Missing[];
  /** Whether every wish of this change may be tried: also while nobody has said that it may not. */
  allows: (change: Change) => boolean;
  /** Whether it is known that this one wish would be refused. */
  refuses: (index: number) => boolean;
}

export function useRights(wishes: readonly Wish[]): Answer {
  const objects = wishes.map(({ object: { apiVersion, kind, namespace, name } }) => ({ apiVersion, kind, namespace, name }));
  const { data } = useQuery({
    queryKey: ["rights", objects],
    queryFn: ({ signal }) => fetchRights(objects, signal),
    enabled: objects.length > 0,
    staleTime: FRESH_MILLISECONDS,
    refetchOnWindowFocus: true,
    placeholderData: (before) => (before?.items.length === objects.length ? before : undefined),
    retry: false,
  });
  const wanted = wishes.flatMap(({ change }, index) => {
    const rights = data?.items[index];
    return rights === undefined ? [] : [{ rights, change }];
  });
  const known = data?.canChange === true;
  const missing = known ? missingRights(wanted) : [];
  const allows = (change: Change) => data === undefined || (known && wanted.every((one) => one.change !== change || one.rights[change]));
  const refuses = (index: number) => known && data.items[index] !== undefined && wishes[index] !== undefined && !data.items[index][wishes[index].change];
  return { told: data, missing, allows, refuses };
}
