import { expect, it } from "vitest";
import { sourceOf } from "./explained";

it("reads the namespace before the slash, and takes default without one", () => {
  expect(sourceOf("istio-system/istio-ingressgateway")).toEqual({ namespace: "istio-system", source: "istio-ingressgateway" });
  expect(sourceOf(" productpage ")).toEqual({ namespace: "default", source: "productpage" });
});
