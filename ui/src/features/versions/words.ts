/** What differs between two versions, in words: what is new of two times is in one version only here. */
import type { Change, ComparedVersions } from "../../api/client";
import type { Translate } from "../../app/language";
import { changeText } from "../graph/changes";

export function versionChangeText(change: Change, { baseline, version }: Pick<ComparedVersions, "baseline" | "version">, t: Translate): string {
  const alone = change.kinds.includes("new") ? version : change.kinds.includes("gone") ? baseline : "";
  const rest = changeText({ ...change, kinds: change.kinds.filter((kind) => kind !== "new" && kind !== "gone") }, t);
  return [alone === "" ? "" : t("versionOnlyIn", { version: alone }), rest].filter((part) => part !== "").join(", ");
}
