import { expect, it } from "vitest";
import { en, ko, type TextKey } from "./texts";

it("has the same placeholders in both languages", () => {
  const placeholders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
  for (const key of Object.keys(en) as TextKey[]) expect([key, placeholders(ko[key])]).toEqual([key, placeholders(en[key])]);
});
