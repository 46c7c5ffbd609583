// @vitest-environment jsdom
import { screen, within } from "@testing-library/react";
import { useState } from "react";
import { describe, expect, it } from "vitest";
import { ApiError } from "../api/client";
import { show } from "../testing";
import { Choice } from "./Choice";
import { Menu } from "./Menu";
import { SortTable } from "./SortTable";
import { DataState } from "./states";

const ROWS = [
  { name: "ratings", rate: 5 },
  { name: "details", rate: 12 },
  { name: "reviews", rate: 8 },
];

function Sorted({ rows = ROWS }: { rows?: typeof ROWS }) {
  const [sort, setSort] = useState("name");
  return (
    <SortTable
      label="Workloads"
      items={rows}
      rowKey={(row) => row.name}
      sort={sort}
      onSort={setSort}
      columns={[
        { key: "name", label: "Name", cell: (row) => row.name, value: (row) => row.name },
        { key: "rate", label: "Rate", cell: (row) => row.rate, value: (row) => row.rate, number: true },
      ]}
    />
  );
}

const shownNames = () => screen.getAllByRole("row").slice(1).map((row) => within(row).getAllByRole("cell")[0]?.textContent);

describe("a table", () => {
  it("sorts by key: names upwards, numbers from the greatest, and tells the order", async () => {
    const { user } = show(<Sorted />);
    expect(shownNames()).toEqual(["details", "ratings", "reviews"]);
    screen.getByRole("button", { name: "Rate" }).focus();
    await user.keyboard("{Enter}");
    expect(shownNames()).toEqual(["details", "reviews", "ratings"]);
    expect(screen.getByRole("columnheader", { name: /Rate/ }).getAttribute("aria-sort")).toBe("descending");
    await user.keyboard("{Enter}");
    expect(shownNames()).toEqual(["ratings", "reviews", "details"]);
    expect(screen.getByRole("columnheader", { name: /Name/ }).getAttribute("aria-sort")).toBe("none");
  });

  it("draws long lists in steps", async () => {
    const rows = Array.from({ length: 450 }, (_, index) => ({ name: `w${String(index).padStart(3, "0")}`, rate: index }));
    const { user } = show(<Sorted rows={rows} />);
    expect(screen.getAllByRole("row")).toHaveLength(1 + 200 + 1);
    await user.click(screen.getByRole("button", { name: "Show 200 more of 450" }));
    await user.click(screen.getByRole("button", { name: "Show 50 more of 450" }));
    expect(screen.getAllByRole("row")).toHaveLength(1 + 450);
  });
});

describe("a menu", () => {
  it("opens and closes by key, and gives the focus back", async () => {
    const { user } = show(
      <Menu label="Options">
        <button type="button">Inside</button>
      </Menu>,
    );
    await user.tab();
    await user.keyboard("{Enter}");
    await user.tab();
    expect(document.activeElement?.textContent).toBe("Inside");
    await user.keyboard("{Escape}");
    expect(screen.queryByText("Inside")).toBeNull();
    expect(document.activeElement?.textContent).toBe("Options");
  });
});

it("a choice is named, and no choice is one of its options", async () => {
  const chosen: string[] = [];
  const { user } = show(<Choice label="Flag" value="" none="Any flag" options={["UH", { value: "-", text: "none" }]} onChange={(value) => chosen.push(value)} />);
  const select = screen.getByRole("combobox", { name: "Flag" });
  expect(within(select).getAllByRole("option").map((option) => option.textContent)).toEqual(["Any flag", "UH", "none"]);
  await user.selectOptions(select, "-");
  expect(chosen).toEqual(["-"]);
});

describe("the state of data is told as it is", () => {
  const whole = { warnings: [] };
  it("loading", () => {
    show(<DataState data={undefined} error={null} updatedAt={0} />);
    expect(screen.getByRole("status").textContent).toBe("Loading…");
  });
  it("whole: nothing to say", () => {
    show(<DataState data={whole} error={null} updatedAt={1} />);
    expect(screen.queryByRole("status")).toBeNull();
    expect(screen.queryByRole("alert")).toBeNull();
  });
  it("partial", () => {
    show(<DataState data={{ warnings: [{ code: "metricsUnavailable", message: "connection refused" }] }} error={null} updatedAt={1} />);
    expect(screen.getByRole("status").textContent).toMatch(/traffic is missing.*connection refused/);
  });
  it("stale: data of before, with its time", () => {
    show(<DataState data={whole} error={new ApiError("metricsUnavailable", "timed out", "", 503)} updatedAt={1_700_000_000_000} />);
    expect(screen.getByRole("alert").textContent).toMatch(/cannot be read right now.*timed out.*What you see is from \d/);
  });
  it("failed: without data no time is claimed", () => {
    show(<DataState data={undefined} error={new ApiError("metricsUnavailable", "timed out", "", 503)} updatedAt={0} />);
    expect(screen.getByRole("alert").textContent).not.toContain("What you see is from");
    expect(screen.queryByText("Loading…")).toBeNull();
  });
  it("the console itself away", () => {
    show(<DataState data={undefined} error={new ApiError("consoleUnreachable", "", "", 0)} updatedAt={0} />, { language: "ko" });
    expect(screen.getByRole("alert").textContent).toMatch(/콘솔/);
  });
  it("not there, with a way back", () => {
    show(<DataState data={undefined} error={new ApiError("notFound", "there is no app", "", 404)} updatedAt={0} back={{ to: "/apps", text: "Apps" }} />);
    expect(screen.getByRole("link", { name: "Apps" }).getAttribute("href")).toBe("/apps");
  });
});
