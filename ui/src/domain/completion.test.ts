import { expect, it } from "vitest";
import { completionsAt, type Schema } from "./completion";

const destination: Schema = { type: "object", properties: { host: { type: "string" }, subset: { type: "string" } } };
const route: Schema = { type: "array", items: { type: "object", properties: { destination, weight: { type: "integer" } } } };
const http: Schema = { type: "array", items: { type: "object", properties: { name: { type: "string" }, route, timeout: { type: "string" } } } };
const schema: Schema = {
  type: "object",
  properties: { spec: { type: "object", properties: { hosts: { type: "array", items: { type: "string" } }, http, mode: { type: "string", enum: ["A", "B"] } } } },
};
const TEXT = ["kind: VirtualService", "spec:", "  hosts: [a]", "  http:", "  - name: x", "    route:", "    - destination:", "        host: a", "        ", "    ", "  ", "  mode: "];
const labels = (row: number, column: number) => completionsAt(schema, TEXT, row, column).map(({ label }) => label);

it("offers what is missing at a place", () => {
  expect(labels(8, 8)).toEqual(["subset"]);
  expect(labels(9, 4)).toEqual(["timeout"]);
  expect(labels(10, 2)).toEqual([]);
  expect(labels(11, 8)).toEqual(["A", "B"]);
  expect(completionsAt(schema, ["spec:", "  http:", "  - "], 2, 4).map(({ label }) => label)).toEqual(["name", "route", "timeout"]);
});
