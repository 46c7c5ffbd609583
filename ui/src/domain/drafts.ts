/** Texts that were typed and not saved: kept by the tab, so that neither a click elsewhere nor a reload loses them. */

export interface Draft {
  yaml: string;
  /** The version of the object it was made of; empty for a new one. */
  resourceVersion: string;
}

const PREFIX = "kaiki.draft.";

export function draftKey(place: { apiVersion: string; kind: string; namespace: string; name: string } | null): string {
  return PREFIX + (place === null ? "new" : `${place.apiVersion}/${place.kind}/${place.namespace}/${place.name}`);
}

export function readDraft(key: string): Draft | null {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(key) ?? "null");
    if (typeof stored !== "object" || stored === null) return null;
    const { yaml, resourceVersion } = stored as Partial<Draft>;
    return typeof yaml === "string" && typeof resourceVersion === "string" ? { yaml, resourceVersion } : null;
  } catch {
    return null;
  }
}

/** Null forgets it. */
export function keepDraft(key: string, draft: Draft | null): void {
  try {
    if (draft === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(draft));
  } catch {
    // Without room, nothing is kept; the text stays on the page.
  }
}
