import { expect, it } from "vitest";
import { loggedAddress, questionLike, readLogged, sourceOf } from "./explained";

it("reads the namespace before the slash, and takes default without one", () => {
  expect(sourceOf("istio-system/istio-ingressgateway")).toEqual({ namespace: "istio-system", source: "istio-ingressgateway" });
  expect(sourceOf(" productpage ")).toEqual({ namespace: "default", source: "productpage" });
});

it("holds a logged request in the address, and asks one like it", () => {
  const question = { namespace: "default", pod: "a-1", entry: { method: "POST", authority: "b:80", path: "/x?y=%20&z" } };
  const text = new URLSearchParams(loggedAddress(question).split("?", 2)[1]).get("logged") ?? "";
  expect(readLogged(text)).toEqual(question);
  expect(questionLike(question)).toEqual({ source: "default/a-1", url: "http://b:80/x?y=%20&z", method: "POST", header: "" });
  expect([readLogged("{"), readLogged("[1]"), readLogged("null")]).toEqual([{}, {}, {}]);
});
