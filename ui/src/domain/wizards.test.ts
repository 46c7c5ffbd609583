import { expect, it } from "vitest";
import { shareOut, writeObjects, type Answers } from "./wizards";

const ANSWERS: Answers = {
  service: "reviews", namespace: "default", versions: ["v1", "v2"], weights: { v1: 90, v2: 10 }, headerName: "end-user", headerValue: "ada",
  headerVersion: "v2", abortPercent: 0, abortStatus: 503, delayPercent: 10, delaySeconds: 2, timeoutSeconds: 3, attempts: 2, mostConnections: 5,
  mostPending: 1, errors: 3, ejectionSeconds: 30,
};

it("shares out whole percents that make a hundred", () => {
  expect(shareOut(["a", "b", "c"], { a: 1, b: 1, c: 1 })).toEqual({ a: 33, b: 33, c: 34 });
  expect(shareOut(["a", "b"], {})).toEqual({ a: 50, b: 50 });
  expect(shareOut(["a", "b"], { a: 90, b: 10 })).toEqual({ a: 90, b: 10 });
});

it("writes subsets before the routes that name them", () => {
  const [rule, routes] = writeObjects("shift", ANSWERS);
  expect(rule).toMatchObject({ kind: "DestinationRule", spec: { subsets: [{ name: "v1", labels: { version: "v1" } }, { name: "v2" }] } });
  expect(routes).toMatchObject({ kind: "VirtualService", spec: { http: [{ route: [{ weight: 90 }, { weight: 10, destination: { subset: "v2" } }] }] } });
});

it("leaves out what was not asked for", () => {
  const [routes] = writeObjects("fault", ANSWERS) as [{ spec: { http: [{ fault: object }] } }];
  expect(Object.keys(routes.spec.http[0].fault)).toEqual(["delay"]);
  expect(writeObjects("breaker", ANSWERS)).toHaveLength(1);
});
