/** How many of an object's proxies have it in force, of how many: looked up by object. */
import type { DistributedObject, Distribution } from "../api/client";

export interface Place {
  kind: string;
  namespace: string;
  name: string;
}

const key = ({ kind, namespace, name }: Place) => `${kind}/${namespace}/${name}`;

export type Distributed = ReadonlyMap<string, DistributedObject>;

export const byObject = (answer: Distribution): Distributed => new Map(answer.objects.map((item) => [key(item), item]));

/** `none`: no connected proxy needs the object, or every one of its proxies is of a replica that did not answer. */
export type State = "whole" | "partly" | "none";

export function stateOf(distributed: Distributed, place: Place): { state: State; object: DistributedObject | undefined } {
  const object = distributed.get(key(place));
  if (object === undefined || object.proxies === 0) return { state: "none", object };
  return { state: object.acknowledged < object.proxies ? "partly" : "whole", object };
}
