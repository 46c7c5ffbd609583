/** The sentences of explained steps. `kaiki explain` reads the same file, so that both say the same. */
import type { ExplainedStep } from "../api/client";
import texts from "../../../src/kaiki/console/step_texts.json";
import type { Language } from "./language";

const TEXTS: Record<Language, Record<ExplainedStep["code"], string>> = texts;

export function tellStep({ code, parameters }: Pick<ExplainedStep, "code" | "parameters">, language: Language): string {
  return TEXTS[language][code].replace(/\{(\w+)\}/g, (whole, name: string) => String(parameters[name] ?? whole));
}
