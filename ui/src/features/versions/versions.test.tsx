// @vitest-environment jsdom
/** Two versions of an app side by side. */
import { screen, within } from "@testing-library/react";
import { Route, Routes } from "react-router";
import { expect, it } from "vitest";
import type { ComparedVersions } from "../../api/client";
import { serve, show } from "../../testing";
import VersionsPage from "./VersionsPage";

const traffic = (p95Milliseconds: number, errors: number) => ({
  requestsPerSecond: 2,
  requestCount: 100,
  errorRatio: errors,
  responseCodes: errors > 0 ? { "200": { "-": 100 - errors * 100 }, "503": { FI: errors * 100 } } : { "200": { "-": 100 } },
  averageMilliseconds: p95Milliseconds / 2,
  p50Milliseconds: p95Milliseconds / 2,
  p95Milliseconds,
  p99Milliseconds: p95Milliseconds,
  bytesSentPerSecond: 2000,
  bytesReceivedPerSecond: 500,
  mtlsRatio: 1,
});
const node = (app: string, version: string, inbound: object) => ({ id: `app:shop/${app}@${version}`, type: "app", namespace: "shop", workload: "", app, version, service: "", health: { status: "healthy", reasons: [] }, badges: [], traffic: { inbound, outbound: {} } });
const ratings = { node: node("ratings", "v1", {}), protocol: "http", before: null, after: { id: "e", protocol: "http", health: { status: "healthy", reasons: [] }, ...traffic(4, 0) }, change: { kinds: ["new"], before: null, after: null } };

const compared = (baseline: string, version: string) =>
  ({
    timestamp: 1000,
    durationSeconds: 600,
    namespace: "shop",
    app: "reviews",
    versions: ["v1", "v2", "v10"],
    baseline,
    version,
    before: node("reviews", baseline, traffic(10, 0)),
    after: node("reviews", version, traffic(60, 0.25)),
    change: { kinds: ["failing", "slower"], before: { p95Milliseconds: 10, errorRatio: 0 }, after: { p95Milliseconds: 60, errorRatio: 0.25 } },
    callers: [],
    calls: [ratings],
    warnings: [],
  }) as unknown as ComparedVersions;

it("shows both versions and what differs, and lets others be chosen", async () => {
  const asked = serve({ "/api/versions/shop/reviews": ({ parameters }) => compared(parameters.get("baseline") ?? "v1", parameters.get("version") ?? "v10") });
  const page = (
    <Routes>
      <Route path="/apps/:namespace/:name/versions" element={<VersionsPage />} />
    </Routes>
  );
  const { user, address } = show(page, { address: "/apps/shop/reviews/versions" });
  expect((await screen.findByText(/Failing 0% → 25%, Slower 10 ms → 60 ms/)).closest("p")?.textContent).toContain("v10 against v1:");
  const numbers = screen.getByRole("region", { name: "Inbound" });
  expect(within(numbers).getByRole("row", { name: "p95 10 ms 60 ms +50 ms" })).toBeTruthy();
  expect(within(numbers).getByRole("row", { name: "Errors 0% 25% +25 points" })).toBeTruthy();
  expect(within(numbers).getByRole("row", { name: /Code 503 FI .* 0% 25%/ })).toBeTruthy();
  const calls = screen.getByRole("region", { name: "What they call" });
  expect(within(calls).getByRole("link", { name: "only v10" }).getAttribute("href")).toContain("type=versionedApp");
  await user.selectOptions(screen.getByLabelText("Compared"), "v2");
  expect(address()).toBe("/apps/shop/reviews/versions?baseline=v1&version=v2");
  expect(asked.at(-1)?.parameters.get("version")).toBe("v2");
  await user.click(screen.getByRole("button", { name: "The other way round" }));
  expect(address()).toBe("/apps/shop/reviews/versions?baseline=v2&version=v1");
});
