// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { describe, expect, it, vi } from "vitest";
import { readAddress, type GraphAddress } from "../domain/address";
import { compileFind, FindError } from "../domain/find";
import { localInput } from "../domain/format";
import { refuse, serve, show } from "../testing";
import { IdentityNote } from "./config/IdentityNote";
import { ProblemList } from "./config/ProblemList";
import ExplainPage from "./explain/ExplainPage";
import { TimeMenu } from "./graph/TimeMenu";
import { Toolbar } from "./graph/Toolbar";
import RequestsPage from "./requests/RequestsPage";

function problemOf(find: string): FindError | null {
  try {
    compileFind(find);
    return null;
  } catch (error) {
    if (error instanceof FindError) return error;
    throw error;
  }
}

function GraphTools({ seen }: { seen: (address: GraphAddress) => void }) {
  const [address, setAddress] = useState(() => readAddress(new URLSearchParams()));
  const problem = problemOf(address.find);
  return (
    <Toolbar
      address={address}
      change={(change) => {
        const next = { ...address, ...change };
        setAddress(next);
        seen(next);
      }}
      graph={undefined}
      found={address.find === "" || problem !== null ? null : 2}
      problem={problem}
      failing={false}
      motion
      setMotion={() => undefined}
    />
  );
}

describe("the graph's filters", () => {
  it("say what is wrong with an expression, and how many are found", async () => {
    serve({ "/api/namespaces": () => ({ items: [], warnings: [] }) });
    const { user } = show(<GraphTools seen={() => undefined} />);
    const find = screen.getByRole("combobox", { name: "Find" });
    await user.type(find, "speed > 5");
    expect(screen.getByText(/speed is unknown; there are .*rate/)).toBeTruthy();
    await user.clear(find);
    await user.type(find, "rate >");
    expect(screen.getByText(/something is missing after/)).toBeTruthy();
    await user.clear(find);
    await user.type(find, "errors > 1%");
    expect(screen.getByText("2 found")).toBeTruthy();
  });

  it("choose namespaces", async () => {
    serve({ "/api/namespaces": () => ({ items: [{ name: "default" }, { name: "shop" }], warnings: [] }) });
    const seen = vi.fn<(address: GraphAddress) => void>();
    const { user } = show(<GraphTools seen={seen} />);
    await user.click(screen.getByRole("button", { name: /All namespaces/ }));
    await user.click(await screen.findByRole("checkbox", { name: "shop" }));
    expect(seen.mock.lastCall?.[0].namespaces).toEqual(["shop"]);
    expect(screen.getByRole("button", { name: /Namespaces: shop/ })).toBeTruthy();
  });
});

describe("the time picker", () => {
  it("sends an absolute range only when it is the right way round", async () => {
    const change = vi.fn<(change: Partial<GraphAddress>) => void>();
    const { user } = show(<TimeMenu address={{ at: 1_700_000_000, durationSeconds: 600, compareSeconds: null }} change={change} />);
    await user.click(screen.getByRole("button", { name: /Window/ }));
    const [from, to] = [screen.getByLabelText<HTMLInputElement>("From"), screen.getByLabelText<HTMLInputElement>("To")];
    expect(new Date(to.value).getTime() - new Date(from.value).getTime()).toBe(600_000);
    const send = screen.getByRole<HTMLButtonElement>("button", { name: "Show" });
    const end = to.value;
    await user.clear(to);
    expect(send.disabled).toBe(true);
    await user.type(to, end);
    expect(send.disabled).toBe(false);
    await user.click(send);
    expect(change).toHaveBeenCalledWith({ at: 1_700_000_000, durationSeconds: 600 });
  });

  it("chooses a window and what it is compared with", async () => {
    const change = vi.fn<(change: Partial<GraphAddress>) => void>();
    const { user } = show(<TimeMenu address={{ at: null, durationSeconds: 60, compareSeconds: null }} change={change} />);
    await user.click(screen.getByRole("button", { name: /Window/ }));
    expect(screen.getByRole("button", { name: "1 min", pressed: true })).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "5 min" }));
    expect(change).toHaveBeenLastCalledWith({ durationSeconds: 300 });
    await user.click(screen.getByRole("button", { name: "5 min ago" }));
    expect(change).toHaveBeenLastCalledWith({ compareSeconds: 300, compareAt: null });
  });

  it("takes a relative range of any length, and a moment to compare with that is before what is shown", async () => {
    const change = vi.fn<(change: Partial<GraphAddress>) => void>();
    const { user } = show(<TimeMenu address={{ at: 1_700_000_000, durationSeconds: 60, compareSeconds: null }} change={change} />);
    await user.click(screen.getByRole("button", { name: /Window/ }));
    await user.clear(screen.getByLabelText("Last"));
    await user.type(screen.getByLabelText("Last"), "36");
    await user.selectOptions(screen.getByLabelText("Unit of time"), "hours");
    await user.click(screen.getByRole("button", { name: "Set" }));
    expect(change).toHaveBeenLastCalledWith({ durationSeconds: 129_600 });
    await user.click(screen.getByRole("button", { name: "Compare" }));
    expect(change).toHaveBeenLastCalledWith({ compareSeconds: null, compareAt: 1_699_999_400 });
    fireEvent.change(screen.getByLabelText("A moment"), { target: { value: localInput(1_700_000_000) } });
    expect(screen.getByText("That is not before the time that is shown.")).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>("button", { name: "Compare" }).disabled).toBe(true);
    fireEvent.change(screen.getByLabelText("To"), { target: { value: localInput(4_000_000_000) } });
    expect(screen.getByText("The end is in the future.")).toBeTruthy();
  });
});

describe("the Requests page", () => {
  it("names every filter, asks by them, and keeps them in its address", async () => {
    const asked = serve({
      "/api/namespaces": () => ({ items: [{ name: "default" }], warnings: [] }),
      "/api/workloads": () => ({ items: [{ namespace: "default", name: "reviews-v1" }], warnings: [] }),
      "/api/requests": () => ({ items: [], found: 0, logged: 7, pods: 2, podsLeftOut: 0, flags: [{ flag: "UH", text: "no healthy host" }] }),
    });
    const { user, address } = show(<RequestsPage />, { address: "/requests" });
    expect(await screen.findByText("No request in the logs fits.")).toBeTruthy();
    const empty = screen.getAllByRole<HTMLSelectElement>("combobox").map((select) => select.options[0]?.text);
    expect(new Set(empty).size).toBe(empty.length);
    await user.selectOptions(await screen.findByRole("combobox", { name: "Workloads" }), "reviews-v1");
    await user.type(screen.getByRole("searchbox", { name: "Host or path contains" }), "/reviews");
    await waitFor(() => expect(asked.at(-1)?.parameters.get("path")).toBe("/reviews"));
    expect(address()).toBe("/requests?workload=reviews-v1&path=%2Freviews");
  });

  it("does not ask for what is no response code", async () => {
    const asked = serve({ "/api/requests": () => refuse(503, "notFound", "no logs") });
    const { user } = show(<RequestsPage />, { address: "/requests" });
    const codes = screen.getByRole("searchbox", { name: /code/i });
    await user.type(codes, "5x");
    expect(codes.getAttribute("aria-invalid")).toBe("true");
    await user.type(codes, "x");
    expect(codes.getAttribute("aria-invalid")).toBe("false");
    await waitFor(() => expect(asked.filter(({ path }) => path === "/api/requests").at(-1)?.parameters.get("codes")).toBe("5xx"));
    expect(asked.some(({ parameters }) => parameters.get("codes") === "5x")).toBe(false);
  });
});

describe("the editor's checks", () => {
  it("say that all is well", () => {
    show(<ProblemList problems={[]} />);
    expect(screen.getByRole("status").textContent).toContain("No problems found");
  });
  it("say severity, line, text and way out", () => {
    show(<ProblemList problems={[{ severity: "Error", line: 9, message: 'unknown field "spec.hostz"', hint: "Did you mean hosts?", code: "KAI1", path: "spec.hostz" }]} />);
    expect(screen.getByRole("listitem").textContent).toMatch(/Error · .*9.*KAI1.*spec\.hostz.*Did you mean hosts/);
  });
});

describe("explain", () => {
  const workloads = { "/api/workloads": () => ({ items: [], warnings: [] }) };
  it("asks only for a whole question, and keeps it in the address", async () => {
    const asked = serve({ ...workloads, "/api/explain": () => refuse(404, "notFound", "there is no workload default/nobody", "See Workloads.") });
    const { user, address } = show(<ExplainPage />, { address: "/explain" });
    await user.click(screen.getByRole("button", { name: "Explain" }));
    expect(asked.some(({ path }) => path === "/api/explain")).toBe(false);
    await user.type(screen.getByLabelText("From (namespace/workload)"), "default/nobody");
    await user.type(screen.getByLabelText("URL"), "http://reviews:9080/");
    await user.keyboard("{Enter}");
    expect((await screen.findByRole("alert")).textContent).toContain("there is no workload default/nobody");
    expect(new URLSearchParams(address().split("?")[1]).get("source")).toBe("default/nobody");
  });
});

describe("identity", () => {
  it("is told when it is known", () => {
    show(<IdentityNote me={{ user: "jane", canChange: true, readOnly: false }} />);
    expect(screen.getByText("Changes are made as jane")).toBeTruthy();
  });
  it("is not asked for where nothing can be changed", () => {
    show(<IdentityNote me={{ user: null, canChange: false, readOnly: true }} />);
    expect(screen.getByText(/--read-only/)).toBeTruthy();
    expect(screen.queryByLabelText("Kubernetes token")).toBeNull();
  });
  it("is asked for, and a refused token is told", async () => {
    const asked = serve({ "/api/identity": () => refuse(400, "badRequest", "The Kubernetes API does not accept this token.") });
    const { user } = show(<IdentityNote me={{ user: null, canChange: false, readOnly: false }} />);
    expect(screen.getByText("You can look, but not change")).toBeTruthy();
    const use = screen.getByRole<HTMLButtonElement>("button", { name: "Use it" });
    expect(use.disabled).toBe(true);
    await user.type(screen.getByLabelText("Kubernetes token"), "expired{Enter}");
    expect((await screen.findByRole("alert")).textContent).toBe("The Kubernetes API does not accept this token.");
    expect(asked.at(-1)?.body).toEqual({ token: "expired" });
  });
});
