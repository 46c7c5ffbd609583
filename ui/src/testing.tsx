/** For component tests: a part of the console as it stands in the app, and an API that answers what a test says. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { MemoryRouter, useLocation } from "react-router";
import { afterEach, vi } from "vitest";
import { LanguageProvider } from "./app/language";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  localStorage.clear();
});

function Address() {
  const { pathname, search } = useLocation();
  return <div data-testid="address">{pathname + search}</div>;
}

export function show(part: ReactNode, { address = "/", language = "en" }: { address?: string; language?: "en" | "ko" } = {}) {
  localStorage.setItem("kaiki.language", language);
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const shown = render(
    <QueryClientProvider client={queries}>
      <LanguageProvider>
        <MemoryRouter initialEntries={[address]}>
          {part}
          <Address />
        </MemoryRouter>
      </LanguageProvider>
    </QueryClientProvider>,
  );
  return { ...shown, user: userEvent.setup(), address: () => shown.getByTestId("address").textContent ?? "" };
}

export interface Asked {
  path: string;
  parameters: URLSearchParams;
  body: unknown;
}

/** Every request goes to `answer`, by its path; what it gives is the JSON, a status of 400 and more is a failure. */
export function serve(answers: Record<string, (asked: Asked) => unknown>): Asked[] {
  const seen: Asked[] = [];
  vi.stubGlobal("fetch", (address: string, options?: { body?: string }) => {
    const url = new URL(address, "http://console");
    const asked = { path: url.pathname, parameters: url.searchParams, body: options?.body === undefined ? undefined : (JSON.parse(options.body) as unknown) };
    seen.push(asked);
    const answer = answers[asked.path];
    if (answer === undefined) return Promise.resolve(Response.json({ error: { code: "notFound", message: `no ${asked.path}`, hint: "" } }, { status: 404 }));
    const given = answer(asked);
    return Promise.resolve(given instanceof Response ? given : Response.json(given));
  });
  return seen;
}

export const refuse = (status: number, code: string, message: string, hint = "") => Response.json({ error: { code, message, hint } }, { status });
