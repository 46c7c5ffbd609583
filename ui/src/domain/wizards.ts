/**
 * The plain objects that a wizard's answers become, and the answers that objects already there stand for. What a form does not know
 * of an object stays as it is; an object that says more than a form can show is not touched, and the reason is told.
 */

export const WIZARDS = ["shift", "header", "fault", "timeout", "breaker", "mtls", "access"] as const;
export type Wizard = (typeof WIZARDS)[number];
export const MODES = ["STRICT", "PERMISSIVE", "DISABLE"] as const;
export const ACTIONS = ["ALLOW", "DENY"] as const;

export interface Answers {
  service: string;
  namespace: string;
  selector: Record<string, string>;
  versions: readonly string[];
  weights: Record<string, number>;
  headerName: string;
  headerValue: string;
  headerVersion: string;
  abortPercent: number;
  abortStatus: number;
  delayPercent: number;
  delaySeconds: number;
  timeoutSeconds: number;
  attempts: number;
  mostConnections: number;
  mostPending: number;
  errors: number;
  ejectionSeconds: number;
  mode: string;
  action: string;
  callers: string;
  methods: string;
  paths: string;
}

export type Value = Record<string, unknown>;

/** An object as the list of configuration has it. */
export interface Listed {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  metadata: Value;
  spec: Value;
}

/** Why a form cannot stand for what is there. */
export interface Refusal {
  reason: "several" | "rules" | "targets" | "fields";
  objects: readonly Listed[];
}

export interface Existing {
  routes?: Listed;
  rule?: Listed;
  peer?: Listed;
  policy?: Listed;
}

export const isRefusal = (found: object): found is Refusal => "reason" in found;

const NETWORKING = "networking.istio.io/v1";
const SECURITY = "security.istio.io/v1";
const DEFAULT_ATTEMPTS = 2;
const USES: Record<Wizard, readonly (keyof Existing)[]> = {
  shift: ["rule", "routes"],
  header: ["rule", "routes"],
  fault: ["routes"],
  timeout: ["routes"],
  breaker: ["rule"],
  mtls: ["peer"],
  access: ["policy"],
};

type Place = Pick<Answers, "service" | "namespace" | "selector">;

/** The objects of this service that a wizard would change; a refusal if there are several of one kind. */
export function findExisting(wizard: Wizard, place: Place, listed: readonly Listed[]): Existing | Refusal {
  const found: Existing = {};
  for (const use of USES[wizard]) {
    const fitting = listed.filter((item) => item.namespace === place.namespace && BELONGS[use](item, place));
    if (fitting.length > 1) return { reason: "several", objects: fitting };
    if (fitting[0] !== undefined) found[use] = fitting[0];
  }
  return found;
}

const BELONGS: Record<keyof Existing, (item: Listed, place: Place) => boolean> = {
  routes: (item, place) => item.kind === "VirtualService" && texts(item.spec["hosts"]).some((host) => isHost(host, place)) && isForMesh(item),
  rule: (item, place) => item.kind === "DestinationRule" && isHost(String(item.spec["host"]), place) && item.spec["workloadSelector"] === undefined,
  peer: (item, place) => item.kind === "PeerAuthentication" && chooses(item, place),
  policy: (item, place) => item.kind === "AuthorizationPolicy" && chooses(item, place),
};

const isForMesh = (item: Listed) => item.spec["gateways"] === undefined || texts(item.spec["gateways"]).includes("mesh");

function isHost(host: string, { service, namespace }: Place): boolean {
  return [service, `${service}.${namespace}`, `${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`].includes(host);
}

function chooses(item: Listed, { selector }: Place): boolean {
  const labels = map(map(item.spec["selector"])["matchLabels"]);
  return Object.keys(labels).length > 0 && same(labels, selector);
}

/** The versions there are, and those that only the routes know (a version that does not run now keeps its share). */
export function versionsOf(running: readonly string[], { rule, routes }: Existing): string[] {
  const named = list(list(routes?.spec["http"])[0]?.["route"]).map((one) => String(map(one["destination"])["subset"] ?? ""));
  const known = list(rule?.spec["subsets"]).filter((subset) => named.includes(String(subset["name"])));
  return [...new Set([...running, ...known.map(versionOf)])].filter((version) => version !== "").sort();
}

const versionOf = (subset: Value): string => String(map(subset["labels"])["version"] ?? "");

// Reading

/** What the form shows for the objects that are there. */
export function readAnswers(wizard: Wizard, place: Place, existing: Existing): Partial<Answers> | Refusal {
  return READERS[wizard](existing, place);
}

type Reader = (existing: Existing, place: Place) => Partial<Answers> | Refusal;

const READERS: Record<Wizard, Reader> = {
  shift: (existing, place) => withOneRule(existing, (rule, routes) => readShares(rule, routes, existing, place)),
  header: readHeader,
  fault: (existing) => withOneRule(existing, readFault),
  timeout: (existing) => withOneRule(existing, readTimeout),
  breaker: readBreaker,
  mtls: ({ peer }) => (peer === undefined ? {} : { mode: String(map(peer.spec["mtls"])["mode"] ?? "PERMISSIVE") }),
  access: ({ policy }) => (policy === undefined ? {} : readPolicy(policy)),
};

function withOneRule({ routes }: Existing, read: (rule: Value, routes: Listed) => Partial<Answers> | Refusal): Partial<Answers> | Refusal {
  if (routes === undefined) return {};
  const rules = list(routes.spec["http"]);
  const [only] = rules;
  if (only === undefined || rules.length > 1 || list(only["match"]).length > 0) return { reason: "rules", objects: [routes] };
  return ["redirect", "directResponse", "delegate"].some((field) => field in only) ? { reason: "targets", objects: [routes] } : read(only, routes);
}

function readShares(only: Value, routes: Listed, { rule }: Existing, place: Place): Partial<Answers> | Refusal {
  const shares = list(only["route"]);
  const weights: Record<string, number> = {};
  for (const share of shares) {
    const destination = map(share["destination"]);
    const subset = list(rule?.spec["subsets"]).find((one) => one["name"] === destination["subset"]);
    if (shares.length === 1 && destination["subset"] === undefined && isHost(String(destination["host"]), place)) return {};
    if (!isHost(String(destination["host"]), place) || subset === undefined || versionOf(subset) === "") return { reason: "targets", objects: [routes] };
    weights[versionOf(subset)] = Number(share["weight"] ?? (shares.length === 1 ? 100 : 0));
  }
  return { weights };
}

function readHeader({ routes, rule }: Existing, place: Place): Partial<Answers> | Refusal {
  if (routes === undefined) return {};
  const rules = list(routes.spec["http"]);
  const [first, last] = rules;
  if (rules.length === 1 && first !== undefined && list(first["match"]).length === 0) return {};
  const [match, ...more] = list(first?.["match"]);
  const [header, ...headers] = Object.entries(map(match?.["headers"]));
  const onlyHeaders = match !== undefined && Object.keys(match).every((field) => field === "headers" || field === "name");
  const exact = map(header?.[1])["exact"];
  if (rules.length !== 2 || more.length + headers.length > 0 || !onlyHeaders || typeof exact !== "string" || list(last?.["match"]).length > 0)
    return { reason: "rules", objects: [routes] };
  const targets = list(first?.["route"]);
  const destination = map(targets[0]?.["destination"]);
  const subset = list(rule?.spec["subsets"]).find((one) => one["name"] === destination["subset"]);
  if (targets.length !== 1 || subset === undefined || versionOf(subset) === "" || !isHost(String(destination["host"]), place))
    return { reason: "targets", objects: [routes] };
  return { headerName: header?.[0] ?? "", headerValue: exact, headerVersion: versionOf(subset) };
}

function readFault(only: Value, routes: Listed): Partial<Answers> | Refusal {
  const fault = map(only["fault"]);
  const [abort, delay] = [map(fault["abort"]), map(fault["delay"])];
  const seconds = fault["delay"] === undefined ? 2 : secondsOf(delay["fixedDelay"]);
  if ((fault["abort"] !== undefined && abort["httpStatus"] === undefined) || seconds === null) return { reason: "fields", objects: [routes] };
  return {
    abortPercent: fault["abort"] === undefined ? 0 : percentOf(abort),
    delayPercent: fault["delay"] === undefined ? 0 : percentOf(delay),
    delaySeconds: seconds,
    ...(fault["abort"] === undefined ? {} : { abortStatus: Number(abort["httpStatus"]) }),
  };
}

/** Istio: without a percentage, all of them. */
const percentOf = (one: Value): number => Number(map(one["percentage"])["value"] ?? (one["percentage"] === undefined ? 100 : 0));

function readTimeout(only: Value, routes: Listed): Partial<Answers> | Refusal {
  const seconds = only["timeout"] === undefined ? 0 : secondsOf(only["timeout"]);
  if (seconds === null) return { reason: "fields", objects: [routes] };
  const attempts = map(only["retries"])["attempts"];
  return { timeoutSeconds: seconds, attempts: Number(attempts ?? DEFAULT_ATTEMPTS) };
}

function readBreaker({ rule }: Existing): Partial<Answers> | Refusal {
  if (rule === undefined) return {};
  const policy = map(rule.spec["trafficPolicy"]);
  const [pool, outliers] = [map(policy["connectionPool"]), map(policy["outlierDetection"])];
  const ejection = outliers["baseEjectionTime"] === undefined ? 30 : secondsOf(outliers["baseEjectionTime"]);
  if (ejection === null) return { reason: "fields", objects: [rule] };
  const [connections, pending] = [map(pool["tcp"])["maxConnections"], map(pool["http"])["http1MaxPendingRequests"]];
  const errors = outliers["consecutive5xxErrors"];
  return {
    ejectionSeconds: ejection,
    ...(typeof connections === "number" ? { mostConnections: connections } : {}),
    ...(typeof pending === "number" ? { mostPending: pending } : {}),
    ...(typeof errors === "number" ? { errors } : {}),
  };
}

function readPolicy(policy: Listed): Partial<Answers> | Refusal {
  const action = String(policy.spec["action"] ?? "ALLOW");
  const rules = list(policy.spec["rules"]);
  const [only] = rules;
  if (rules.length !== 1 || only === undefined || !(ACTIONS as readonly string[]).includes(action)) return { reason: "rules", objects: [policy] };
  const [from, to] = [list(only["from"]), list(only["to"])];
  const [source, operation] = [map(from[0]?.["source"]), map(to[0]?.["operation"])];
  const known = hasOnly(only, ["from", "to"]) && hasOnly(source, ["principals"]) && hasOnly(operation, ["methods", "paths"]);
  if (from.length > 1 || to.length > 1 || !known) return { reason: "fields", objects: [policy] };
  const write = (value: unknown) => texts(value).join(", ");
  return { action, callers: write(source["principals"]), methods: write(operation["methods"]), paths: write(operation["paths"]) };
}

const hasOnly = (value: Value, fields: readonly string[]): boolean => Object.keys(value).every((field) => fields.includes(field));

// Writing

/** What to apply, in this order: subsets must be there before routes name them. */
export function writeObjects(wizard: Wizard, answers: Answers, existing: Existing = {}): Value[] {
  return WRITERS[wizard](answers, existing);
}

const WRITERS: Record<Wizard, (answers: Answers, existing: Existing) => Value[]> = {
  shift: writeShares,
  header: writeHeader,
  fault: (answers, existing) => [withRule(answers, existing, (rule) => writeFault(rule, answers))],
  timeout: (answers, existing) => [withRule(answers, existing, (rule) => writeTimeout(rule, answers))],
  breaker: writeBreaker,
  mtls: (answers, { peer }) => [whole(peer, answers, SECURITY, "PeerAuthentication", { ...chosen(answers), ...peer?.spec, mtls: { ...map(peer?.spec["mtls"]), mode: answers.mode } })],
  access: writePolicy,
};

const chosen = ({ selector }: Answers): Value => ({ selector: { matchLabels: selector } });

function whole(there: Listed | undefined, { service, namespace }: Answers, apiVersion: string, kind: string, spec: Value): Value {
  const metadata = there?.metadata ?? { name: service, namespace };
  return { apiVersion: there?.apiVersion ?? apiVersion, kind, metadata, spec };
}

const routesOf = (answers: Answers, { routes }: Existing, http: Value[]): Value =>
  whole(routes, answers, NETWORKING, "VirtualService", { ...(routes?.spec ?? { hosts: [answers.service] }), http });

function withRule(answers: Answers, existing: Existing, change: (rule: Value) => Value): Value {
  const [only] = list(existing.routes?.spec["http"]);
  const changed = change(only ?? {});
  return routesOf(answers, existing, ["route" in changed ? changed : { ...changed, route: [to(answers, existing)] }]);
}

/** A destination; hosts are written as the DestinationRule has them, where there is one. */
function to({ service }: Answers, { rule }: Existing, subset?: string): Value {
  return { destination: { host: rule?.spec["host"] ?? service, ...(subset === undefined ? {} : { subset }) } };
}

/** The DestinationRule with a subset for every version, and the name of each. */
function withSubsets(answers: Answers, { rule }: Existing): { object: Value; named: (version: string) => string } {
  const there = list(rule?.spec["subsets"]);
  const of = (version: string) => there.find((subset) => same(map(subset["labels"]), { version }));
  const missing = answers.versions.filter((version) => of(version) === undefined).map((version) => ({ name: version, labels: { version } }));
  const object = whole(rule, answers, NETWORKING, "DestinationRule", { ...(rule?.spec ?? { host: answers.service }), subsets: [...there, ...missing] });
  return { object, named: (version) => String(of(version)?.["name"] ?? version) };
}

function writeShares(answers: Answers, existing: Existing): Value[] {
  const shares = shareOut(answers.versions, answers.weights);
  const { object, named } = withSubsets(answers, existing);
  const routes = withRule(answers, existing, (rule) => ({ ...rule, route: answers.versions.map((version) => share(rule, version)) }));
  return [object, routes];

  function share(rule: Value, version: string): Value {
    const there = list(rule["route"]).find((one) => map(one["destination"])["subset"] === named(version));
    return { ...(there ?? to(answers, existing, named(version))), weight: shares[version] ?? 0 };
  }
}

function writeHeader(answers: Answers, existing: Existing): Value[] {
  const { object, named } = withSubsets(answers, existing);
  const rules = list(existing.routes?.spec["http"]);
  const last = rules.at(-1);
  const [first = {}] = rules.length > 1 ? rules : [];
  const [match] = list(first["match"]);
  const others = answers.versions.filter((version) => version !== answers.headerVersion);
  const rest = others[0] === undefined ? to(answers, existing) : to(answers, existing, named(others[0]));
  const conditions = { ...match, headers: { [answers.headerName]: { exact: answers.headerValue } } };
  const [there] = list(first["route"]);
  const target = to(answers, existing, named(answers.headerVersion));
  const kept = there !== undefined && map(there["destination"])["subset"] === named(answers.headerVersion) ? there : target;
  return [object, routesOf(answers, existing, [{ ...first, match: [conditions], route: [kept] }, last ?? { route: [rest] }])];
}

function writeFault(rule: Value, answers: Answers): Value {
  const there = map(rule["fault"]);
  const { abort: oldAbort, delay: oldDelay, ...more } = there;
  const delay = { ...map(oldDelay), ...percentage(map(oldDelay), answers.delayPercent), fixedDelay: duration(map(oldDelay)["fixedDelay"], answers.delaySeconds) };
  const abort = { ...map(oldAbort), ...percentage(map(oldAbort), answers.abortPercent), httpStatus: answers.abortStatus };
  const fault = { ...more, ...(answers.delayPercent > 0 ? { delay } : {}), ...(answers.abortPercent > 0 ? { abort } : {}) };
  const rest = { ...rule };
  delete rest["fault"];
  return Object.keys(fault).length > 0 ? { ...rest, fault } : rest;
}

const percentage = (there: Value, percent: number): Value =>
  "httpStatus" in there || "fixedDelay" in there ? (percentOf(there) === percent ? {} : { percentage: { value: percent } }) : { percentage: { value: percent } };

function writeTimeout(rule: Value, answers: Answers): Value {
  const { timeout, retries, ...rest } = rule;
  const wanted = answers.timeoutSeconds > 0 || (timeout !== undefined && secondsOf(timeout) === 0);
  const said = wanted ? { timeout: duration(timeout, answers.timeoutSeconds) } : {};
  // A rule that says nothing of retries has Istio's two; that needs no words.
  if ("route" in rule && retries === undefined && answers.attempts === DEFAULT_ATTEMPTS) return { ...said, ...rest };
  if (answers.attempts === 0) return { ...said, retries: { attempts: 0 }, ...rest };
  const first = retries === undefined ? { retryOn: "5xx,reset,connect-failure" } : {};
  return { ...said, retries: { ...map(retries), attempts: answers.attempts, ...first }, ...rest };
}

function writeBreaker(answers: Answers, { rule }: Existing): Value[] {
  const policy = map(rule?.spec["trafficPolicy"]);
  const [pool, outliers] = [map(policy["connectionPool"]), map(policy["outlierDetection"])];
  const connectionPool = {
    ...pool,
    tcp: { ...map(pool["tcp"]), maxConnections: answers.mostConnections },
    http: { ...map(pool["http"]), http1MaxPendingRequests: answers.mostPending },
  };
  const outlierDetection = {
    ...(rule === undefined || policy["outlierDetection"] === undefined ? { interval: "10s" } : {}),
    ...outliers,
    consecutive5xxErrors: answers.errors,
    baseEjectionTime: duration(outliers["baseEjectionTime"], answers.ejectionSeconds),
  };
  const spec = { ...(rule?.spec ?? { host: answers.service }), trafficPolicy: { ...policy, connectionPool, outlierDetection } };
  return [whole(rule, answers, NETWORKING, "DestinationRule", spec)];
}

function writePolicy(answers: Answers, { policy }: Existing): Value[] {
  const [principals, methods, paths] = [answers.callers, answers.methods, answers.paths].map(words) as [string[], string[], string[]];
  const operation = { ...(methods.length > 0 ? { methods } : {}), ...(paths.length > 0 ? { paths } : {}) };
  const rule = {
    ...(principals.length > 0 ? { from: [{ source: { principals } }] } : {}),
    ...(Object.keys(operation).length > 0 ? { to: [{ operation }] } : {}),
  };
  const spec = { ...chosen(answers), ...policy?.spec, action: answers.action, rules: [rule] };
  return [whole(policy, answers, SECURITY, "AuthorizationPolicy", spec)];
}

/** An object that is new must not take the name of one that is about something else. */
export function withFreeName(object: Value, existing: Existing, listed: readonly Listed[]): Value {
  const metadata = map(object["metadata"]);
  if (Object.values(existing).some((item: Listed) => item.kind === object["kind"])) return object;
  const taken = new Set(listed.filter((item) => item.kind === object["kind"] && item.namespace === metadata["namespace"]).map((item) => item.name));
  const base = String(metadata["name"]);
  const names = [base, ...Array.from({ length: taken.size + 1 }, (_, index) => `${base}-mesh${index === 0 ? "" : `-${index + 1}`}`)];
  return { ...object, metadata: { ...metadata, name: names.find((name) => !taken.has(name)) ?? base } };
}

/** Whole percents that make a hundred together; the last version takes what rounding left. */
export function shareOut(versions: readonly string[], weights: Record<string, number>): Record<string, number> {
  const asked = versions.map((version) => Math.max(0, weights[version] ?? 0));
  const total = asked.reduce((sum, weight) => sum + weight, 0);
  const shares: Record<string, number> = {};
  let left = 100;
  versions.forEach((version, index) => {
    const exact = total === 0 ? 100 / versions.length : ((asked[index] ?? 0) * 100) / total;
    const share = index === versions.length - 1 ? left : Math.min(left, Math.round(exact));
    shares[version] = share;
    left -= share;
  });
  return shares;
}

// Values

const map = (value: unknown): Value => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Value) : {});
const list = (value: unknown): Value[] => (Array.isArray(value) ? value.map(map) : []);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
const words = (text: string): string[] => text.split(/[\s,]+/).filter((word) => word !== "");
const same = (one: Value, other: Value): boolean =>
  Object.keys(one).length === Object.keys(other).length && Object.entries(one).every(([key, value]) => other[key] === value);

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** Of a duration with one unit; null for others. */
function secondsOf(value: unknown): number | null {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(value));
  return found === null ? null : Number(found[1]) * (UNITS[found[2] ?? ""] ?? 1);
}

/** As it was written, if it still says the same. */
const duration = (there: unknown, seconds: number): unknown => (there !== undefined && secondsOf(there) === seconds ? there : `${seconds}s`);
