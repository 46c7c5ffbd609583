/**
 * The language of Find and Hide: words, and comparisons joined by `and`, `or`, `not` and brackets.
 *
 *     reviews                         a word: part of a name, namespace, badge …
 *     namespace = shop and not idle
 *     rate > 5 and errors > 1%        of edges; a node answers by what comes in
 *     p95 >= 200ms or protocol = tcp
 *     name ~ "page"                   contains; = and != compare whole texts
 */
import type { GraphEdge, GraphNode, Traffic } from "../api/client";

export interface Finder {
  node: (node: GraphNode) => boolean;
  edge: (edge: GraphEdge) => boolean;
  /** Whether the expression says something that only edges (or traffic) can answer. */
  aboutTraffic: boolean;
}

export class FindError extends Error {
  constructor(
    readonly reason: "unexpected" | "unfinished" | "notNumber" | "unknownField",
    readonly word: string,
  ) {
    super(`${reason}: ${word}`);
  }
}

type Subject = { node: GraphNode } | { edge: GraphEdge };
type Test = (subject: Subject) => boolean;

const NUMBERS: Record<string, (traffic: Traffic) => number | null> = {
  rate: (traffic) => traffic.requestsPerSecond,
  requests: (traffic) => traffic.requestCount,
  errors: (traffic) => (traffic.errorRatio === null ? null : traffic.errorRatio * 100),
  average: (traffic) => traffic.averageMilliseconds,
  p50: (traffic) => traffic.p50Milliseconds,
  p90: (traffic) => traffic.p90Milliseconds,
  p95: (traffic) => traffic.p95Milliseconds,
  p99: (traffic) => traffic.p99Milliseconds,
  bytes: (traffic) => traffic.bytesSentPerSecond + traffic.bytesReceivedPerSecond,
  requestbytes: (traffic) => traffic.bytesReceivedPerSecond,
  responsebytes: (traffic) => traffic.bytesSentPerSecond,
  mtls: (traffic) => (traffic.mtlsRatio === null ? null : traffic.mtlsRatio * 100),
};

const NODE_TEXTS: Record<string, (node: GraphNode) => readonly string[]> = {
  name: (node) => [node.workload, node.pod, node.app, node.service].filter((text) => text !== ""),
  namespace: (node) => [node.namespace],
  workload: (node) => [node.workload],
  pod: (node) => [node.pod],
  app: (node) => [node.app],
  service: (node) => [node.service],
  version: (node) => [node.version],
  type: (node) => [node.type],
  badge: (node) => node.badges,
};

const EDGE_TEXTS: Record<string, (edge: GraphEdge) => readonly string[]> = {
  protocol: (edge) => [edge.protocol],
  code: (edge) => Object.keys(edge.responseCodes),
  flag: (edge) => Object.values(edge.responseCodes).flatMap((flags) => Object.keys(flags)),
  host: (edge) => Object.values(edge.hosts).flatMap((hosts) => Object.keys(hosts)),
};

export const FIND_FIELDS = [...Object.keys(NODE_TEXTS), ...Object.keys(EDGE_TEXTS), "health", ...Object.keys(NUMBERS)] as const;

const UNITS: Record<string, number> = { "": 1, "%": 1, ms: 1, s: 1000, "/s": 1, "/m": 1 / 60, k: 1000, kb: 1000, mb: 1_000_000, "b/s": 1, "kb/s": 1000, "mb/s": 1_000_000 };
const TOKEN = /\s*(?:(\(|\)|>=|<=|!=|=|>|<|~)|"([^"]*)"|([^\s()<>=!~"]+))/y;

interface Token {
  kind: "sign" | "quoted" | "word";
  text: string;
}

/** Compile an expression. Throws FindError for one that cannot be understood. The empty one finds everything. */
export function compileFind(text: string): Finder {
  const parser = new Parser(readTokens(text));
  const test = parser.tokens.length === 0 ? () => true : parser.whole();
  return { node: (node) => test({ node }), edge: (edge) => test({ edge }), aboutTraffic: parser.aboutTraffic };
}

function readTokens(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new FindError("unexpected", text.slice(start).trim());
    const [, sign, quoted, word] = match;
    tokens.push(sign !== undefined ? { kind: "sign", text: sign } : quoted !== undefined ? { kind: "quoted", text: quoted } : { kind: "word", text: word ?? "" });
  }
  return tokens;
}

class Parser {
  private place = 0;
  aboutTraffic = false;

  constructor(readonly tokens: readonly Token[]) {}

  whole(): Test {
    const test = this.either();
    const rest = this.tokens[this.place];
    if (rest !== undefined) throw new FindError("unexpected", rest.text);
    return test;
  }

  private either(): Test {
    let left = this.both();
    while (this.takeWord("or")) {
      const [before, after] = [left, this.both()];
      left = (subject) => before(subject) || after(subject);
    }
    return left;
  }

  /** Terms side by side are joined by `and`. */
  private both(): Test {
    let left = this.term();
    while (this.takeWord("and") || this.startsTerm()) {
      const [before, after] = [left, this.term()];
      left = (subject) => before(subject) && after(subject);
    }
    return left;
  }

  private startsTerm(): boolean {
    const next = this.tokens[this.place];
    if (next === undefined) return false;
    return next.kind === "sign" ? next.text === "(" : next.kind === "quoted" || next.text.toLowerCase() !== "or";
  }

  private term(): Test {
    if (this.takeWord("not")) {
      const inner = this.term();
      return (subject) => !inner(subject);
    }
    if (this.takeSign("(")) {
      const inner = this.either();
      if (!this.takeSign(")")) throw new FindError("unfinished", ")");
      return inner;
    }
    const token = this.next();
    if (token.kind === "sign") throw new FindError("unexpected", token.text);
    const sign = this.tokens[this.place];
    if (token.kind === "quoted" || sign?.kind !== "sign" || sign.text === "(" || sign.text === ")") return containsWord(token.text);
    this.place += 1;
    return this.comparison(token.text.toLowerCase(), sign.text, this.next().text);
  }

  private comparison(field: string, sign: string, value: string): Test {
    const number = NUMBERS[field];
    if (number !== undefined) {
      this.aboutTraffic = true;
      return compareNumber(number, sign, readNumber(value));
    }
    if (field === "health") return compareText((subject) => [("node" in subject ? subject.node : subject.edge).health.status], sign, value);
    const ofEdge = EDGE_TEXTS[field];
    if (ofEdge !== undefined) {
      this.aboutTraffic = true;
      return compareText((subject) => ("edge" in subject ? ofEdge(subject.edge) : null), sign, value);
    }
    const ofNode = NODE_TEXTS[field];
    if (ofNode === undefined) throw new FindError("unknownField", field);
    return compareText((subject) => ("node" in subject ? ofNode(subject.node) : null), sign, value);
  }

  private next(): Token {
    const token = this.tokens[this.place];
    if (token === undefined) throw new FindError("unfinished", this.tokens.at(-1)?.text ?? "");
    this.place += 1;
    return token;
  }

  private takeWord(word: string): boolean {
    const token = this.tokens[this.place];
    if (token?.kind !== "word" || token.text.toLowerCase() !== word) return false;
    this.place += 1;
    return true;
  }

  private takeSign(sign: string): boolean {
    const token = this.tokens[this.place];
    if (token?.kind !== "sign" || token.text !== sign) return false;
    this.place += 1;
    return true;
  }
}

function containsWord(word: string): Test {
  const wanted = word.toLowerCase();
  return (subject) => {
    if ("edge" in subject) return subject.edge.protocol === wanted;
    const { node } = subject;
    const texts = [node.id, node.namespace, node.workload, node.app, node.version, node.service, node.type, node.health.status, ...node.badges];
    return texts.some((text) => text.toLowerCase().includes(wanted));
  };
}

function compareText(texts: (subject: Subject) => readonly string[] | null, sign: string, value: string): Test {
  const wanted = value.toLowerCase();
  const equal = (text: string) => text.toLowerCase() === wanted;
  switch (sign) {
    case "=":
      return (subject) => texts(subject)?.some(equal) ?? false;
    case "!=":
      return (subject) => {
        const found = texts(subject);
        return found !== null && !found.some(equal);
      };
    case "~":
      return (subject) => texts(subject)?.some((text) => text.toLowerCase().includes(wanted)) ?? false;
    default:
      throw new FindError("notNumber", sign);
  }
}

function compareNumber(read: (traffic: Traffic) => number | null, sign: string, wanted: number): Test {
  const holds: Record<string, (value: number) => boolean> = {
    ">": (value) => value > wanted,
    ">=": (value) => value >= wanted,
    "<": (value) => value < wanted,
    "<=": (value) => value <= wanted,
    "=": (value) => value === wanted,
    "!=": (value) => value !== wanted,
  };
  const test = holds[sign];
  if (test === undefined) throw new FindError("unexpected", sign);
  return (subject) => {
    const value = read("edge" in subject ? subject.edge : subject.node.traffic.inbound);
    return value !== null && test(value);
  };
}

function readNumber(text: string): number {
  const match = /^(-?\d+(?:\.\d+)?)(%|ms|s|\/s|\/m|k|kb|mb|b\/s|kb\/s|mb\/s)?$/i.exec(text);
  const unit = UNITS[(match?.[2] ?? "").toLowerCase()];
  if (match?.[1] === undefined || unit === undefined) throw new FindError("notNumber", text);
  return Number(match[1]) * unit;
}
