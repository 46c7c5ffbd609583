import { expect, it } from "vitest";
import { findExisting, isRefusal, readAnswers, shareOut, versionsOf, withFreeName, writeObjects, type Answers, type Existing, type Listed, type Refusal, type Value, type Wizard } from "./wizards";

const SELECTOR = { app: "reviews" };
const ANSWERS: Answers = {
  service: "reviews", namespace: "default", selector: SELECTOR, versions: ["v1", "v2"], weights: { v1: 90, v2: 10 }, headerName: "end-user",
  headerValue: "ada", headerVersion: "v2", abortPercent: 0, abortStatus: 503, delayPercent: 10, delaySeconds: 2, timeoutSeconds: 3, attempts: 2,
  mostConnections: 5, mostPending: 1, errors: 3, ejectionSeconds: 30, mode: "STRICT", action: "ALLOW", callers: "cluster.local/ns/default/sa/web",
  methods: "GET", paths: "/reviews*",
};

function listed(kind: string, spec: Value, name = "reviews"): Listed {
  const group = kind.startsWith("Peer") || kind.startsWith("Auth") ? "security" : "networking";
  const metadata = { name, namespace: "default", labels: { team: "red" } };
  return { apiVersion: `${group}.istio.io/v1beta1`, kind, namespace: "default", name, metadata, spec };
}

const SUBSETS = [{ name: "stable", labels: { version: "v1" } }, { name: "v2", labels: { version: "v2" }, trafficPolicy: { tls: { mode: "DISABLE" } } }];
const RULE = listed("DestinationRule", { host: "reviews.default.svc.cluster.local", trafficPolicy: { loadBalancer: { simple: "RANDOM" } }, subsets: SUBSETS }, "own-name");
const to = (subset: string, more: Value = {}): Value => ({ destination: { host: "reviews", subset, port: { number: 9080 } }, ...more });
const routes = (...http: Value[]): Listed => listed("VirtualService", { hosts: ["reviews"], exportTo: ["."], http }, "old-routes");
const ONE = { name: "all", route: [to("stable", { weight: 75, headers: { request: { set: { a: "b" } } } }), to("v2", { weight: 25 })] };

const WRITTEN: [Wizard, string, Listed[]][] = [
  ["shift", "weights", [RULE, routes({ ...ONE, timeout: "3s", mirror: { host: "copy" } })]],
  ["shift", "one version", [RULE, routes({ route: [to("v2", { weight: 100 }), to("stable", { weight: 0 })].reverse() })]],
  ["header", "a header", [RULE, routes({ name: "ada", match: [{ headers: { "end-user": { exact: "ada" } }, name: "m" }], timeout: "1s", route: [to("v2")] }, ONE)]],
  ["fault", "both faults", [routes({ ...ONE, fault: { delay: { fixedDelay: "1500ms", percentage: { value: 5 } }, abort: { httpStatus: 418, percentage: { value: 0.5 } } } })]],
  ["fault", "all of them", [routes({ ...ONE, fault: { abort: { httpStatus: 500 } } })]],
  ["fault", "none", [routes(ONE)]],
  ["timeout", "all fields", [routes({ timeout: "1m", retries: { attempts: 4, perTryTimeout: "2s", retryOn: "gateway-error" }, ...ONE })]],
  ["timeout", "no field", [routes(ONE)]],
  ["timeout", "no limit", [routes({ ...ONE, timeout: "0s", retries: { attempts: 0 } })]],
  ["breaker", "all fields", [listed("DestinationRule", { host: "reviews", subsets: SUBSETS, trafficPolicy: {
    tls: { mode: "ISTIO_MUTUAL" }, connectionPool: { tcp: { maxConnections: 7, connectTimeout: "1s" }, http: { http1MaxPendingRequests: 2, maxRetries: 9 } },
    outlierDetection: { interval: "5s", consecutive5xxErrors: 4, baseEjectionTime: "3m", maxEjectionPercent: 50 } } })]],
  ["mtls", "a port", [listed("PeerAuthentication", { selector: { matchLabels: SELECTOR }, mtls: { mode: "PERMISSIVE" }, portLevelMtls: { "9080": { mode: "DISABLE" } } })]],
  ["access", "callers and paths", [listed("AuthorizationPolicy", { selector: { matchLabels: SELECTOR }, action: "DENY", rules: [
    { from: [{ source: { principals: ["cluster.local/ns/a/sa/b", "cluster.local/ns/c/sa/*"] } }], to: [{ operation: { methods: ["GET", "HEAD"], paths: ["/a*"] } }] }] })]],
  ["access", "everybody", [listed("AuthorizationPolicy", { selector: { matchLabels: SELECTOR }, action: "ALLOW", rules: [{}] })]],
];

function existing(wizard: Wizard, objects: readonly Listed[]): Existing {
  const found = findExisting(wizard, ANSWERS, objects);
  if (isRefusal(found)) throw new Error(found.reason);
  return found;
}

function read(wizard: Wizard, found: Existing): Partial<Answers> {
  const answers = readAnswers(wizard, ANSWERS, found);
  if (isRefusal(answers)) throw new Error(answers.reason);
  return answers;
}

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
  const [policy] = writeObjects("access", { ...ANSWERS, methods: "", paths: "" });
  expect(policy).toMatchObject({ kind: "AuthorizationPolicy", spec: { selector: { matchLabels: SELECTOR }, action: "ALLOW" } });
  expect((policy as { spec: { rules: object[] } }).spec.rules).toEqual([{ from: [{ source: { principals: ["cluster.local/ns/default/sa/web"] } }] }]);
});

it.each(WRITTEN)("%s: reads an object and writes the same: %s", (wizard, _, objects) => {
  const found = existing(wizard, objects);
  const versions = versionsOf(["v1", "v2"], found);
  const again = writeObjects(wizard, { ...ANSWERS, versions, ...read(wizard, found) }, found);
  const before = objects.map(({ apiVersion, kind, metadata, spec }) => ({ apiVersion, kind, metadata, spec }));
  expect(again).toEqual(before);
});

it.each(["shift", "header", "fault", "timeout", "breaker", "mtls", "access"] as const)("%s: reads what it wrote", (wizard) => {
  const made = writeObjects(wizard, ANSWERS).map((object) => {
    const { metadata, ...rest } = object as { apiVersion: string; kind: string; metadata: { name: string; namespace: string }; spec: Value };
    return { ...rest, metadata, name: metadata.name, namespace: metadata.namespace };
  });
  const found = existing(wizard, made);
  expect(writeObjects(wizard, { ...ANSWERS, weights: {}, ...read(wizard, found) }, found)).toEqual(writeObjects(wizard, ANSWERS));
  expect(ANSWERS).toMatchObject(read(wizard, found));
});

it("changes what was asked and keeps the rest", () => {
  const found = existing("shift", [RULE, routes({ ...ONE, timeout: "3s" })]);
  const [rule, changed] = writeObjects("shift", { ...ANSWERS, versions: ["v1", "v2", "v3"], weights: { v1: 0, v2: 50, v3: 50 } }, found);
  expect(rule).toMatchObject({ metadata: { name: "own-name", labels: { team: "red" } }, spec: { subsets: [...SUBSETS, { name: "v3" }] } });
  expect(changed).toMatchObject({ metadata: { name: "old-routes" }, spec: { exportTo: ["."], http: [{ name: "all", timeout: "3s" }] } });
  const [{ route }] = (changed as { spec: { http: [{ route: Value[] }] } }).spec.http;
  expect(route.map((one) => [(one["destination"] as Value)["subset"], one["weight"]])).toEqual([["stable", 0], ["v2", 50], ["v3", 50]]);
  expect(route[0]).toHaveProperty("headers");
});

const REFUSED: [Wizard, Refusal["reason"], Listed[]][] = [
  ["shift", "several", [RULE, routes(ONE), { ...routes(ONE), name: "second" }]],
  ["shift", "rules", [RULE, routes({ match: [{ uri: { prefix: "/a" } }], route: [] }, ONE)]],
  ["shift", "targets", [RULE, routes({ route: [{ destination: { host: "elsewhere" } }] })]],
  ["timeout", "targets", [routes({ redirect: { uri: "/a" } })]],
  ["header", "rules", [RULE, routes({ match: [{ headers: { a: { prefix: "b" } } }], route: [to("v2")] }, ONE)]],
  ["fault", "fields", [routes({ ...ONE, fault: { abort: { grpcStatus: "UNAVAILABLE" } } })]],
  ["access", "fields", [listed("AuthorizationPolicy", { selector: { matchLabels: SELECTOR }, rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }] })]],
  ["access", "rules", [listed("AuthorizationPolicy", { selector: { matchLabels: SELECTOR }, rules: [{}, {}] })]],
  ["access", "fields", [listed("AuthorizationPolicy", { selector: { matchLabels: SELECTOR }, rules: [{ when: [{ key: "a", values: ["b"] }] }] })]],
];

it.each(REFUSED)("%s: says why it cannot stand for an object: %s", (wizard, reason, objects) => {
  const found = findExisting(wizard, ANSWERS, objects);
  expect(isRefusal(found) ? found : readAnswers(wizard, ANSWERS, found)).toMatchObject({ reason });
});

it("gives a new object a name that is free", () => {
  const [rule] = writeObjects("breaker", ANSWERS) as [Value];
  const taken = ["reviews", "reviews-mesh"].map((name) => listed("DestinationRule", { host: "other" }, name));
  expect(withFreeName(rule, {}, taken)).toMatchObject({ metadata: { name: "reviews-mesh-2" } });
  expect(withFreeName(rule, { rule: RULE }, taken)).toEqual(rule);
});

it("leaves objects of others alone", () => {
  const others = [
    listed("VirtualService", { hosts: ["reviews"], gateways: ["public"], http: [] }),
    { ...routes(ONE), namespace: "elsewhere" },
    listed("AuthorizationPolicy", { rules: [{}] }),
    listed("PeerAuthentication", { selector: { matchLabels: { app: "ratings" } } }),
  ];
  for (const wizard of ["fault", "mtls", "access"] as const) expect(findExisting(wizard, ANSWERS, others)).toEqual({});
});
