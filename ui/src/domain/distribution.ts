/** How many of an object's proxies have it in force, of how many: looked up by object. */
import type { DistributedObject, Distribution } from "../api/client";

export interface Place {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
}

const key = (group: string, kind: string, namespace: string, name: string) => `${group}/${kind}/${namespace}/${name}`;
const groupOf = (apiVersion: string) => apiVersion.split("/").slice(0, -1).join("/");

export type Distributed = ReadonlyMap<string, DistributedObject>;

export const byObject = (answer: Distribution): Distributed => new Map(answer.objects.map((item) => [key(item.group, item.kind, item.namespace, item.name), item]));

/**
 * `none`: no connected proxy needs the object, or every one of its proxies is of a replica that did not answer.
 * `refused`: Envoy refuses what comes of it, so it is held back.
 */
export type State = "whole" | "partly" | "none" | "refused";

export function stateOf(distributed: Distributed, place: Place): { state: State; object: DistributedObject | undefined } {
  const object = distributed.get(key(groupOf(place.apiVersion), place.kind, place.namespace, place.name));
  if (object === undefined) return { state: "none", object };
  if (object.refused !== "") return { state: "refused", object };
  if (object.proxies === 0) return { state: "none", object };
  return { state: object.acknowledged < object.proxies ? "partly" : "whole", object };
}
