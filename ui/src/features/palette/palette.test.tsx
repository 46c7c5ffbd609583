// @vitest-environment jsdom
import { screen, waitFor, within } from "@testing-library/react";
import axe from "axe-core";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { findEntries, namedEntries, readRecent, type Names } from "../../domain/palette";
import { refuse, serve, show } from "../../testing";
import { linkTo } from "./entries";
import { PaletteButton } from "./PaletteButton";

const NAMES: Names = {
  namespaces: ["default", "shop"],
  apps: [{ namespace: "default", name: "reviews" }],
  workloads: [
    { namespace: "default", name: "reviews-v1" },
    { namespace: "default", name: "reviews-v3" },
    { namespace: "shop", name: "cart" },
  ],
  services: [{ namespace: "default", name: "reviews" }],
  objects: [{ kind: "VirtualService", namespace: "default", name: "reviews", apiVersion: "networking.istio.io/v1" }],
  warnings: [],
};

beforeAll(() => {
  // jsdom knows neither modal dialogs nor scrolling.
  HTMLDialogElement.prototype.showModal = function show(this: HTMLDialogElement) {
    this.open = true;
    this.querySelector("input")?.focus();
  };
  HTMLDialogElement.prototype.close = function close(this: HTMLDialogElement) {
    this.open = false;
    this.dispatchEvent(new Event("close"));
  };
  Element.prototype.scrollIntoView = () => undefined;
});

async function opened(options: Parameters<typeof show>[1] = {}, names: unknown = NAMES) {
  serve({ "/api/names": () => names });
  const shown = show(<PaletteButton />, options);
  await shown.user.keyboard("{Control>}k{/Control}");
  const field = await screen.findByRole("combobox");
  return { ...shown, field };
}

const titles = () => screen.getAllByRole("option").map((option) => option.textContent);

describe("the command palette", () => {
  it("goes to a workload by the keyboard alone, and offers it first the next time", async () => {
    const { user, field, address } = await opened();
    await screen.findAllByRole("option");
    await user.type(field, "rv3");
    await waitFor(() => expect(titles()[0]).toContain("reviews-v3"));
    await user.keyboard("{Enter}");
    expect(address()).toBe("/workloads/default/reviews-v3");
    expect(screen.queryByRole("dialog")).toBeNull();
    await user.keyboard("{Control>}k{/Control}");
    await waitFor(() => expect(titles()[0]).toContain("reviews-v3"));
  });

  it("names the chosen entry to who does not see it, and goes round at the ends", async () => {
    const { user, field } = await opened();
    const first = field.getAttribute("aria-activedescendant");
    await user.keyboard("{ArrowUp}");
    const all = screen.getAllByRole("option");
    expect(field.getAttribute("aria-activedescendant")).toBe(all.at(-1)?.id);
    await user.keyboard("{ArrowDown}");
    expect(field.getAttribute("aria-activedescendant")).toBe(first);
    expect(screen.getByRole("option", { selected: true }).id).toBe(first);
  });

  it("knows what can be done on the page", async () => {
    const { user, field, address } = await opened({ address: "/graph?duration=300" });
    await user.type(field, "table");
    await user.click(within(screen.getByRole("listbox")).getByText("Show as a table", { selector: "li:first-child span" }));
    expect(address()).toBe("/graph?duration=300&view=table");
  });

  it("is found by words of the other language", async () => {
    const { user, field } = await opened({ language: "ko" });
    await user.type(field, "changes");
    await waitFor(() => expect(titles()).toHaveLength(1));
    await user.clear(field);
    await user.type(field, "언어와 맞지 않는 말");
    expect(screen.getByRole("status").textContent).toContain("맞는 것이 없습니다");
  });

  it("goes on without names, and says why", async () => {
    await opened({}, refuse(503, "unavailable", "the API server does not answer"));
    await waitFor(() => expect(screen.getByRole("status").textContent).toContain("the API server does not answer"));
    expect(titles().length).toBeGreaterThan(5);
  });

  it("leaves another dialog the keyboard", async () => {
    const { user } = show(
      <>
        <dialog open aria-label="other" />
        <PaletteButton />
      </>,
    );
    await user.keyboard("{Control>}k{/Control}");
    expect(screen.queryByRole("combobox")).toBeNull();
  });

  it("is accessible", async () => {
    const { container } = await opened();
    const found = await axe.run(container, { rules: { region: { enabled: false }, "color-contrast": { enabled: false } } });
    expect(found.violations).toEqual([]);
  });
});

describe("what fits", () => {
  const entries = namedEntries(NAMES);
  const ids = (text: string, recent: string[] = []) => findEntries(entries, text, recent).map((entry) => entry.id);

  it("needs every word, in the title or beside it", () => {
    expect(ids("reviews virtual")).toEqual(["object:VirtualService/default/reviews"]);
    expect(ids("cart default")).toEqual([]);
  });

  it("has whole names before parts, and shorter ones before longer ones", () => {
    expect(ids("reviews").slice(0, 3)).toEqual(["app:default/reviews", "service:default/reviews", "object:VirtualService/default/reviews"]);
    expect(ids("v3")[0]).toBe("workload:default/reviews-v3");
  });

  it("remembers what was chosen, whatever is stored", () => {
    localStorage.setItem("kaiki.palette", "{");
    expect(readRecent()).toEqual([]);
    expect(ids("reviews-v", ["workload:default/reviews-v3"])[0]).toBe("workload:default/reviews-v3");
  });
});

describe("a link to this moment", () => {
  it("fixes the time where a page has one", () => {
    vi.useRealTimers();
    expect(linkTo("/graph", "?duration=300", 1700.9)).toBe("/graph?duration=300&at=1700");
    expect(linkTo("/workloads/default/a", "", 1700)).toBe("/workloads/default/a?at=1700");
    expect(linkTo("/graph", "?at=5", 1700)).toBe("/graph?at=5");
    expect(linkTo("/config", "?q=a", 1700)).toBe("/config?q=a");
  });
});
