// @vitest-environment jsdom
import { afterEach, describe, expect, it } from "vitest";
import { draftKey, keepDraft, readDraft } from "./drafts";

const PLACE = { apiVersion: "networking.istio.io/v1", kind: "VirtualService", namespace: "default", name: "reviews" };

afterEach(() => sessionStorage.clear());

describe("a draft", () => {
  it("is kept for its object until it is forgotten", () => {
    const key = draftKey(PLACE);
    keepDraft(key, { yaml: "a: 1", resourceVersion: "7" });
    expect(readDraft(key)).toEqual({ yaml: "a: 1", resourceVersion: "7" });
    expect(readDraft(draftKey({ ...PLACE, name: "ratings" }))).toBeNull();
    expect(readDraft(draftKey(null))).toBeNull();
    keepDraft(key, null);
    expect(readDraft(key)).toBeNull();
  });

  it("is none where something else is stored", () => {
    for (const stored of ["{", "1", '{"yaml": 1, "resourceVersion": "7"}']) {
      sessionStorage.setItem(draftKey(null), stored);
      expect(readDraft(draftKey(null))).toBeNull();
    }
  });
});
