/** Light or dark: the system's at first, then the user's choice. Kept as `data-theme` of the page. */
const STORED = "kaiki.theme";

export function currentTheme(): "light" | "dark" {
  const chosen = document.documentElement.dataset["theme"];
  if (chosen === "light" || chosen === "dark") return chosen;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function restoreTheme(): void {
  const stored = localStorage.getItem(STORED);
  if (stored === "light" || stored === "dark") document.documentElement.dataset["theme"] = stored;
}

export function toggleTheme(): void {
  const theme = currentTheme() === "dark" ? "light" : "dark";
  localStorage.setItem(STORED, theme);
  document.documentElement.dataset["theme"] = theme;
  window.dispatchEvent(new Event("kaiki-theme"));
}
