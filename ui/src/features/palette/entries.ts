/** The entries that are no names: the pages, the settings, and what can be done on the page one is on. */
import type { TextKey } from "../../app/texts";
import type { Translate } from "../../app/language";
import { en, ko } from "../../app/texts";
import { COMPARISONS, DURATIONS, readAddress, writeAddress, type GraphAddress } from "../../domain/address";
import type { Entry } from "../../domain/palette";
import { WIZARDS } from "../../domain/wizards";
import { durationText } from "../graph/words";

const PAGES: readonly (readonly [string, TextKey])[] = [
  ["/graph", "graph"],
  ["/graph?view=table", "do.table"],
  ["/overview", "namespaces"],
  ["/apps", "apps"],
  ["/workloads", "workloads"],
  ["/services", "services"],
  ["/requests", "requestLog"],
  ["/explain", "explainRequest"],
  ["/config", "config"],
  ["/config/new", "do.newObject"],
  ["/changes", "configChanges"],
  ["/mesh", "mesh"],
];

/** Both languages are searched: who reads one often knows the other's word. */
const bothWords = (key: TextKey) => `${en[key]} ${ko[key]}`;

export function standingEntries(t: Translate): Entry[] {
  const setting = (id: string, key: TextKey): Entry => ({ id, group: "setting", title: t(key), words: bothWords(key) });
  return [
    ...PAGES.map(([to, key]): Entry => ({ id: `page:${to}`, group: "page", title: t(key), words: bothWords(key), to })),
    setting("refresh", "do.refresh"),
    setting("copyLink", "do.copyLink"),
    setting("language", "language"),
    setting("theme", "theme"),
  ];
}

/** What can be done where one is; `now` in seconds. */
export function entriesHere(pathname: string, search: string, t: Translate, now: number): Entry[] {
  if (pathname === "/graph") return graphEntries(readAddress(new URLSearchParams(search)), t, now);
  const [, list, namespace, name, more] = pathname.split("/").map(decodeURIComponent);
  if (namespace === undefined || name === undefined || more !== undefined) return [];
  if (list !== "apps" && list !== "workloads" && list !== "services") return [];
  const go = (id: string, title: string, to: string): Entry => ({ id: `here:${id}`, group: "here", title, to });
  const found = [go("graph", t("do.graphOf", { namespace }), `/graph?${new URLSearchParams({ namespaces: namespace }).toString()}`)];
  if (list !== "services") found.push(go("explain", t("do.explain", { name }), `/explain?${new URLSearchParams({ source: `${namespace}/${name}` }).toString()}`));
  if (list === "apps") found.push(go("versions", t("do.versions", { name }), `${pathname}/versions`));
  if (list === "services") {
    for (const wizard of WIZARDS) {
      const to = `/config/wizard?${new URLSearchParams({ wizard, service: `${namespace}/${name}` }).toString()}`;
      found.push(go(`wizard:${wizard}`, t("do.wizard", { wizard: t(`wizard.${wizard}`), name }), to));
    }
  }
  return found;
}

function graphEntries(address: GraphAddress, t: Translate, now: number): Entry[] {
  const go = (id: string, title: string, change: Partial<GraphAddress>, quiet = false): Entry => ({
    id: `here:${id}`,
    group: "here",
    title,
    to: `/graph?${writeAddress({ ...address, ...change }).toString()}`,
    quiet,
  });
  const { view, at, durationSeconds, compareSeconds } = address;
  return [
    view === "table" ? go("drawing", t("do.drawing"), { view: "graph" }) : go("table", t("do.table"), { view: "table" }),
    at === null ? go("pause", t("do.pause"), { at: Math.floor(now) }) : go("live", t("do.live"), { at: null }),
    ...DURATIONS.filter((seconds) => seconds !== durationSeconds).map((seconds) => go(`window:${seconds}`, t("do.window", { duration: durationText(seconds, t) }), { durationSeconds: seconds }, true)),
    ...(compareSeconds === null
      ? COMPARISONS.map((seconds) => go(`compare:${seconds}`, t("do.compare", { duration: durationText(seconds, t) }), { compareSeconds: seconds }, true))
      : [go("compareOff", t("do.compareOff"), { compareSeconds: null })]),
  ];
}

/** The address of this page with its time: who opens it later sees the same. Pages without a time are as they are. */
export function linkTo(pathname: string, search: string, now: number): string {
  const parameters = new URLSearchParams(search);
  const timed = pathname === "/graph" || /^\/(overview|apps|workloads|services|requests)(\/|$)/.test(pathname);
  if (timed && !parameters.has("at")) parameters.set("at", String(Math.floor(now)));
  const text = parameters.toString();
  return `${pathname}${text === "" ? "" : `?${text}`}`;
}
