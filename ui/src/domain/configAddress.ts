/** Where an object's page is. */

export interface ObjectPlace {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
}

export function objectAddress({ apiVersion, kind, namespace, name }: ObjectPlace): string {
  return `/config/object?${new URLSearchParams({ apiVersion, kind, namespace, name }).toString()}`;
}
