/** One of several, by a native select, with its name before it. */
import { useText } from "../app/language";

interface Properties {
  label: string;
  value: string;
  options: readonly (string | { value: string; text: string; title?: string })[];
  onChange: (value: string) => void;
  /** What stands for no choice; without it one is always chosen. */
  none?: string | undefined;
}

export function Choice({ label, value, options, onChange, none }: Properties) {
  const t = useText();
  return (
    <label className="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {none !== undefined && <option value="">{none === "" ? t("all") : none}</option>}
        {options.map((option) => {
          const { value: chosen, text, title } = typeof option === "string" ? { value: option, text: option, title: undefined } : { title: undefined, ...option };
          return (
            <option key={chosen} value={chosen} title={title}>
              {text}
            </option>
          );
        })}
      </select>
    </label>
  );
}
