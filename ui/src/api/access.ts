/** Who the user is and what they may do. */
import { post } from "./client";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Rights = Schemas["Rights"];
export type ObjectRights = Schemas["ObjectRights"];
export type RightsQuestion = Schemas["RightsQuestion"];

/** Where to go then. */
export const logOut = (): Promise<Schemas["LoggedOut"]> => post("/api/logout", {});
export const fetchRights = (objects: readonly RightsQuestion[], signal?: AbortSignal): Promise<Rights> => post("/api/rights", { objects }, {}, signal);
