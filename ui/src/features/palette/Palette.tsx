/** The command palette: one field that goes everywhere, by the keyboard alone. A combobox with its list, in a dialog. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useLocation, useNavigate } from "react-router";
import { get } from "../../api/client";
import { useLanguage } from "../../app/language";
import { toggleTheme } from "../../app/theme";
import { findEntries, keepRecent, namedEntries, readRecent, type Entry, type Names } from "../../domain/palette";
import { entriesHere, linkTo, standingEntries } from "./entries";

export default function Palette({ onClose }: { onClose: () => void }) {
  const { t, language, setLanguage } = useLanguage();
  const dialog = useRef<HTMLDialogElement>(null);
  const { pathname, search } = useLocation();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const names = useQuery({ queryKey: ["names"], queryFn: ({ signal }) => get<Names>("/api/names", {}, signal), staleTime: 5000 });
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const [said, setSaid] = useState("");
  const [opened] = useState(() => ({ recent: readRecent(), now: Date.now() / 1000 }));

  useEffect(() => dialog.current?.showModal(), []);
  const entries = useMemo(
    () => [...entriesHere(pathname, search, t, opened.now), ...standingEntries(t), ...(names.data === undefined ? [] : namedEntries(names.data))],
    [pathname, search, t, opened, names.data],
  );
  const found = useMemo(() => findEntries(entries, text, opened.recent), [entries, text, opened]);
  const place = Math.min(chosen, Math.max(found.length - 1, 0));
  useEffect(() => {
    document.getElementById(`palette-${place}`)?.scrollIntoView({ block: "nearest" });
  }, [place, found]);

  const run = (entry: Entry) => {
    keepRecent(entry.id);
    if (entry.id === "copyLink") {
      const link = new URL(linkTo(pathname, search, Date.now() / 1000), window.location.origin).href;
      void navigator.clipboard.writeText(link).then(
        () => setSaid(t("do.copied")),
        () => setSaid(link),
      );
      return;
    }
    dialog.current?.close();
    if (entry.to !== undefined) void navigate(entry.to);
    else if (entry.id === "language") setLanguage(language === "ko" ? "en" : "ko");
    else if (entry.id === "theme") toggleTheme();
    else if (entry.id === "refresh") void queries.invalidateQueries();
  };
  const press = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: place + 1, ArrowUp: place - 1, PageDown: place + 10, PageUp: place - 10 };
    const next = steps[event.key];
    const entry = found[place];
    if (next !== undefined && found.length > 0) {
      event.preventDefault();
      const last = found.length - 1;
      // One step past an end goes to the other; a page stops at the end.
      setChosen(event.key.startsWith("Page") ? Math.min(Math.max(next, 0), last) : (next + found.length) % found.length);
    } else if (event.key === "Enter" && entry !== undefined && !event.nativeEvent.isComposing) {
      event.preventDefault();
      run(entry);
    }
  };

  return (
    <dialog ref={dialog} className="palette" aria-label={t("palette")} onClose={onClose} onKeyDown={(event) => event.stopPropagation()} onPointerDown={(event) => event.target === dialog.current && dialog.current.close()}>
      <input
        type="text"
        role="combobox"
        aria-label={t("paletteHint")}
        aria-expanded={found.length > 0}
        aria-controls="palette-list"
        aria-activedescendant={found.length > 0 ? `palette-${place}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        spellCheck={false}
        placeholder={t("paletteHint")}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setChosen(0);
          setSaid("");
        }}
        onKeyDown={press}
      />
      <ul id="palette-list" role="listbox" aria-label={t("palette")}>
        {found.map((entry, number) => (
          <li key={entry.id} id={`palette-${number}`} role="option" aria-selected={number === place} onPointerMove={() => setChosen(number)} onClick={() => run(entry)}>
            <span className="palette-title">{entry.title}</span>
            {entry.note !== undefined && <span className="palette-note">{entry.note}</span>}
            <span className="palette-group">{t(`palette.${entry.group}`)}</span>
          </li>
        ))}
      </ul>
      <p className="palette-foot" role="status">
        {said !== "" ? said : found.length === 0 ? t("paletteNothing", { text }) : t("paletteKeys")}
        {names.error !== null && <> · {t("palettePartly", { message: names.error.message })}</>}
      </p>
    </dialog>
  );
}
