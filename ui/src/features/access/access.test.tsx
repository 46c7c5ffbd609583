// @vitest-environment jsdom
import { act, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { Asked } from "../../testing";
import { refuse, serve, show } from "../../testing";
import { fetchMe } from "../../api/client";
import WizardPage from "../config/WizardPage";
import { LogOut } from "./LogOut";
import { RightsNote } from "./RightsNote";
import { SessionEnded } from "./SessionEnded";
import { useRights, type Wish } from "./useRights";

const routes = { apiVersion: "networking.istio.io/v1", kind: "VirtualService", namespace: "shop", name: "reviews" };
const WISHES: Wish[] = [
  { object: routes, change: "update" },
  { object: routes, change: "delete" },
];

function answer(may: Record<string, boolean>, more: object = {}) {
  return ({ body }: Asked) => ({
    user: "jane",
    canChange: true,
    readOnly: false,
    problem: "",
    items: (body as { objects: object[] }).objects.map((object) => ({ ...object, resource: "virtualservices", group: "networking.istio.io", create: false, update: false, delete: false, ...may })),
    ...more,
  });
}

function Both() {
  const rights = useRights(WISHES);
  return (
    <>
      <button disabled={!rights.allows("update")}>save</button>
      <button disabled={!rights.allows("delete")}>delete</button>
      <RightsNote answer={rights} />
    </>
  );
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>("button", { name });

describe("rights", () => {
  it("switch off what would be refused, and say why and whom to ask", async () => {
    const asked = serve({ "/api/rights": answer({ update: true }) });
    show(<Both />);
    expect(button("save").disabled).toBe(false);
    expect((await screen.findByRole("status")).textContent).toMatch(/jane may not delete virtualservices in namespace shop\..*--verb=delete.*--user=jane/);
    expect([button("save").disabled, button("delete").disabled]).toEqual([false, true]);
    expect(asked.filter(({ path }) => path === "/api/rights")).toHaveLength(1);
  });
  it("are said in Korean", async () => {
    serve({ "/api/rights": answer({}) });
    show(<Both />, { language: "ko" });
    expect(await screen.findByText("jane 사용자는 shop 네임스페이스의 virtualservices에 대해 변경·삭제 권한이 없습니다.")).toBeTruthy();
  });
  it("switch nothing off while nobody could say", async () => {
    serve({ "/api/rights": answer({ update: true, delete: true }, { problem: "the API server cannot be reached" }) });
    show(<Both />);
    expect((await screen.findByRole("status")).textContent).toContain("the API server cannot be reached");
    expect([button("save").disabled, button("delete").disabled]).toEqual([false, false]);
  });
  it("stop a wizard before its last step", async () => {
    const service = { namespace: "shop", name: "reviews", workloads: ["reviews-v1"], ports: [], selector: { app: "reviews" } };
    serve({
      "/api/services": () => ({ items: [service], warnings: [] }),
      "/api/workloads": () => ({ items: [], warnings: [] }),
      "/api/config": () => ({ items: [routes].map((item) => ({ ...item, created: "", metadata: { name: "reviews", namespace: "shop" }, spec: { hosts: ["reviews"], http: [{ route: [{ destination: { host: "reviews" } }] }] }, status: {} })), warnings: [] }),
      "/api/rights": answer({ create: true }),
    });
    show(<WizardPage />, { address: "/config/wizard?service=shop/reviews&wizard=timeout" });
    expect((await screen.findByRole("status")).textContent).toContain("jane may not change virtualservices");
    expect(screen.getByRole<HTMLButtonElement>("button", { name: /Replace|VirtualService/ }).disabled).toBe(true);
  });
});

describe("a session", () => {
  it("that has ended is told without taking the page away, until somebody is back", async () => {
    let over = true;
    serve({ "/api/me": () => (over ? refuse(401, "unauthorized", "Log in first.") : { user: null, canChange: false, readOnly: false }) });
    show(<SessionEnded />, { address: "/config/new?kind=Gateway" });
    expect(screen.queryByRole("alert")).toBeNull();
    await act(() => fetchMe().catch(() => null));
    expect((await screen.findByRole("link", { name: "Log in again" })).getAttribute("href")).toBe("/login?to=%2Fconfig%2Fnew%3Fkind%3DGateway");
    over = false;
    await act(() => fetchMe());
    expect(screen.queryByRole("alert")).toBeNull();
  });
  it("ends by the button that names whose it is, and goes where the console says", async () => {
    const asked = serve({ "/api/me": () => ({ user: "jane", canChange: true, readOnly: false }), "/api/logout": () => ({ location: "#out" }) });
    const { user } = show(<LogOut />);
    await user.click(await screen.findByRole("button", { name: "Log out (jane)" }));
    await waitFor(() => expect(window.location.hash).toBe("#out"));
    expect(asked.at(-1)?.path).toBe("/api/logout");
  });
});
