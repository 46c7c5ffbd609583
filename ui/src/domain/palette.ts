/** What the command palette offers, and which of it fits what was typed. */
import type { components } from "../api/schema";
import { objectAddress } from "./configAddress";

export type Names = components["schemas"]["Names"];

export const GROUPS = ["here", "page", "namespace", "app", "workload", "service", "object", "setting"] as const;
export type Group = (typeof GROUPS)[number];

/**
 * `to` is an address to go to; everything else is done by who shows the entry, by its id. `words` are searched too; what is
 * `quiet` is shown only to who searches.
 */
export interface Entry {
  id: string;
  group: Group;
  title: string;
  note?: string;
  words?: string;
  to?: string;
  quiet?: boolean;
}

export const MOST_SHOWN = 40;
const MOST_RECENT = 8;
const STORED = "kaiki.palette";

/** Everything that has a name. */
export function namedEntries(names: Names): Entry[] {
  const subjects = (["app", "workload", "service"] as const).flatMap((group) =>
    names[`${group}s`].map(({ namespace, name }): Entry => ({
      id: `${group}:${namespace}/${name}`,
      group,
      title: name,
      note: namespace,
      to: `/${group}s/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`,
    })),
  );
  return [
    ...names.namespaces.map((name): Entry => ({ id: `namespace:${name}`, group: "namespace", title: name, to: `/graph?${new URLSearchParams({ namespaces: name }).toString()}` })),
    ...subjects,
    ...names.objects.map((one): Entry => ({ id: `object:${one.kind}/${one.namespace}/${one.name}`, group: "object", title: one.name, note: `${one.kind} · ${one.namespace}`, to: objectAddress(one) })),
  ];
}

/**
 * The entries that fit, the best first; without a text what was used last, then what can be done here and the pages.
 * Every word must fit: the start of a title before the start of a word in it, before any part, before single letters in order.
 */
export function findEntries(entries: readonly Entry[], text: string, recent: readonly string[]): Entry[] {
  const words = text.trim().toLowerCase().split(/\s+/).filter((word) => word !== "");
  const age = new Map(recent.map((id, place) => [id, place]));
  if (words.length === 0) {
    const used = recent.flatMap((id) => entries.find((entry) => entry.id === id) ?? []);
    const others = entries.filter((entry) => ["here", "page", "setting"].includes(entry.group) && entry.quiet !== true && !age.has(entry.id));
    return [...used, ...others].slice(0, MOST_SHOWN);
  }
  const scored = entries.flatMap((entry) => {
    const costs = words.map((word) => cost(entry, word));
    if (costs.some((each) => each === null)) return [];
    const sum = costs.reduce<number>((total, each) => total + (each ?? 0), 0);
    // What was used lately comes before what fits as well.
    return [{ entry, score: sum * 100 + (age.get(entry.id) ?? MOST_RECENT) + entry.title.length / 100 + GROUPS.indexOf(entry.group) / 1000 }];
  });
  return scored
    .sort((one, other) => one.score - other.score || one.entry.id.localeCompare(other.entry.id))
    .slice(0, MOST_SHOWN)
    .map(({ entry }) => entry);
}

function cost(entry: Entry, word: string): number | null {
  const title = entry.title.toLowerCase();
  if (title.startsWith(word)) return 0;
  if (title.split(/[\s\-_./·]+/).some((part) => part.startsWith(word))) return 1;
  if (title.includes(word)) return 2;
  const others = `${entry.note ?? ""} ${entry.words ?? ""}`.toLowerCase();
  if (others.includes(word)) return 3;
  return word.length > 2 && inOrder(title, word) ? 4 : null;
}

/** Whether the letters stand in the title, in their order: `rv3` in `reviews-v3`. */
function inOrder(title: string, word: string): boolean {
  let place = 0;
  for (const letter of word) {
    place = title.indexOf(letter, place) + 1;
    if (place === 0) return false;
  }
  return true;
}

/** The entries chosen last, the newest first. */
export function readRecent(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return Array.isArray(stored) ? stored.filter((one) => typeof one === "string").slice(0, MOST_RECENT) : [];
  } catch {
    return [];
  }
}

export function keepRecent(id: string): void {
  const recent = [id, ...readRecent().filter((other) => other !== id)].slice(0, MOST_RECENT);
  try {
    localStorage.setItem(STORED, JSON.stringify(recent));
  } catch {
    // Without room, nothing is remembered.
  }
}
