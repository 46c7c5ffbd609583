/** Where a request comes from, as people write it. */
export function sourceOf(text: string): { namespace: string; source: string } {
  const [before, after] = text.trim().split("/", 2);
  return after === undefined ? { namespace: "default", source: before ?? "" } : { namespace: before ?? "", source: after };
}

/** The page that explains a request that was made: the address holds all that was logged of it. */
export const loggedAddress = (question: object): string => `/explain?${new URLSearchParams({ logged: JSON.stringify(question) }).toString()}`;

/** What such an address holds; what is no JSON object is nothing, which the API then says is too little. */
export function readLogged(text: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && found !== null && !Array.isArray(found) ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

interface AskedLine {
  namespace?: string;
  pod?: string;
  entry?: { method?: string; authority?: string; path?: string; requested_server_name?: string } | null;
}

/** The question that is like a logged request, to ask it again in another way. */
export function questionLike({ namespace = "", pod = "", entry }: AskedLine): { source: string; url: string; method: string; header: string } {
  const scheme = entry?.requested_server_name ? "https" : "http";
  return {
    source: pod === "" ? "" : `${namespace}/${pod}`,
    url: entry?.authority ? `${scheme}://${entry.authority}${entry.path ?? "/"}` : "",
    method: entry?.method || "GET",
    header: "",
  };
}
