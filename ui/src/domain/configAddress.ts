/** Where an object's page is. */

export interface ObjectPlace {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
}

/** With a line, the editor opens at it. */
export function objectAddress({ apiVersion, kind, namespace, name }: ObjectPlace, line = 0): string {
  const place: Record<string, string> = line > 0 ? { line: String(line) } : {};
  return `/config/object?${new URLSearchParams({ apiVersion, kind, namespace, name, ...place }).toString()}`;
}
