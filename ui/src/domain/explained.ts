/** Where a request comes from, as people write it. */
export function sourceOf(text: string): { namespace: string; source: string } {
  const [before, after] = text.trim().split("/", 2);
  return after === undefined ? { namespace: "default", source: before ?? "" } : { namespace: before ?? "", source: after };
}
