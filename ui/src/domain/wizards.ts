/** The plain objects that a wizard's answers become. They hold nothing but what a person would write. */

export const WIZARDS = ["shift", "header", "fault", "timeout", "breaker"] as const;
export type Wizard = (typeof WIZARDS)[number];

export interface Answers {
  service: string;
  namespace: string;
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
}

type Value = Record<string, unknown>;

const API = "networking.istio.io/v1";

/** What to apply, in this order: subsets must be there before routes name them. */
export function writeObjects(wizard: Wizard, answers: Answers): Value[] {
  const { service, namespace, versions } = answers;
  const metadata = { name: service, namespace };
  const subsets = versions.map((version) => ({ name: version, labels: { version } }));
  const rule = (spec: Value): Value => ({ apiVersion: API, kind: "DestinationRule", metadata, spec: { host: service, ...spec } });
  const routes = (...http: Value[]): Value => ({ apiVersion: API, kind: "VirtualService", metadata, spec: { hosts: [service], http } });
  const to = (subset?: string): Value => ({ destination: { host: service, ...(subset === undefined ? {} : { subset }) } });
  switch (wizard) {
    case "shift": {
      const shares = shareOut(versions, answers.weights);
      return [rule({ subsets }), routes({ route: versions.map((version) => ({ ...to(version), weight: shares[version] ?? 0 })) })];
    }
    case "header": {
      const match = [{ headers: { [answers.headerName]: { exact: answers.headerValue } } }];
      const others = versions.filter((version) => version !== answers.headerVersion);
      const rest = others[0] === undefined ? to() : to(others[0]);
      return [rule({ subsets }), routes({ match, route: [to(answers.headerVersion)] }, { route: [rest] })];
    }
    case "fault": {
      const abort = { percentage: { value: answers.abortPercent }, httpStatus: answers.abortStatus };
      const delay = { percentage: { value: answers.delayPercent }, fixedDelay: `${answers.delaySeconds}s` };
      const fault = { ...(answers.delayPercent > 0 ? { delay } : {}), ...(answers.abortPercent > 0 ? { abort } : {}) };
      return [routes({ ...(Object.keys(fault).length > 0 ? { fault } : {}), route: [to()] })];
    }
    case "timeout": {
      const retries = { attempts: answers.attempts, retryOn: "5xx,reset,connect-failure" };
      return [routes({ timeout: `${answers.timeoutSeconds}s`, retries: answers.attempts > 0 ? retries : { attempts: 0 }, route: [to()] })];
    }
    case "breaker": {
      const connectionPool = { tcp: { maxConnections: answers.mostConnections }, http: { http1MaxPendingRequests: answers.mostPending } };
      const outlierDetection = { consecutive5xxErrors: answers.errors, interval: "10s", baseEjectionTime: `${answers.ejectionSeconds}s` };
      return [rule({ trafficPolicy: { connectionPool, outlierDetection } })];
    }
  }
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
