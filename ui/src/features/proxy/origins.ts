/** Where the objects behind a configuration have their pages. */
import type { Origin } from "../../api/pages";
import { objectAddress } from "../../domain/configAddress";
import { detailsAddress } from "../overview/words";

export const proxyAddress = (namespace: string, pod: string): string => `/proxies/${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}`;

/** Null for what has no page: Secrets are never shown. */
export function originAddress(origin: Origin): string | null {
  if (origin.kind === "Service") return detailsAddress("service", origin.namespace, origin.name);
  if (origin.kind === "Workload") return detailsAddress("workload", origin.namespace, origin.name);
  return origin.apiVersion === "" ? null : objectAddress(origin);
}
