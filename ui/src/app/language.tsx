/** The language: the browser's at first, then the user's choice. */
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from "react";
import { en, ko, type TextKey } from "./texts";

export type Language = "en" | "ko";
export type Translate = (key: TextKey, values?: Record<string, string | number>) => string;

interface LanguageState {
  language: Language;
  setLanguage: (language: Language) => void;
  t: Translate;
}

const STORED = "kaiki.language";
const LanguageContext = createContext<LanguageState | null>(null);

export function translator(language: Language): Translate {
  const texts: Record<TextKey, string> = language === "ko" ? ko : en;
  return (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

function firstLanguage(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "ko") return stored;
  return navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
}

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, choose] = useState<Language>(firstLanguage);
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const state = useMemo(
    () => ({
      language,
      setLanguage: (chosen: Language) => {
        localStorage.setItem(STORED, chosen);
        choose(chosen);
      },
      t: translator(language),
    }),
    [language],
  );
  return <LanguageContext value={state}>{children}</LanguageContext>;
}

export function useLanguage(): LanguageState {
  const state = use(LanguageContext);
  if (state === null) throw new Error("LanguageProvider is missing");
  return state;
}

export function useText(): Translate {
  return useLanguage().t;
}
