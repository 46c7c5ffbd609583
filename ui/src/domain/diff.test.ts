import { expect, it } from "vitest";
import { diffLines } from "./diff";

const marks = (before: string, after: string) =>
  diffLines(before, after).map(({ kind, text }) => `${{ same: " ", removed: "-", added: "+" }[kind]}${text}`);

it("tells what stayed, went and came", () => {
  expect(marks("a\nb\nc\n", "a\nx\nc\nd\n")).toEqual([" a", "-b", "+x", " c", "+d"]);
  expect(marks("", "a\n")).toEqual(["+a"]);
  expect(marks("a\n", "")).toEqual(["-a"]);
  expect(marks("a\nb", "a\nb")).toEqual([" a", " b"]);
});
