/** Opens the command palette: a button, Ctrl+K or ⌘K from anywhere. Its code comes when it is first opened. */
import { lazy, Suspense, useEffect, useState } from "react";
import { useText } from "../../app/language";
import { Icon } from "../../shared/icons";
import "./palette.css";

const Palette = lazy(() => import("./Palette"));
const SHORTCUT = /mac/i.test(navigator.platform) ? "⌘K" : "Ctrl K";

export function PaletteButton() {
  const t = useText();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      // Another dialog keeps the keyboard to itself.
      if (document.querySelector("dialog[open]:not(.palette)") !== null) return;
      event.preventDefault();
      setOpen(true);
    };
    // Before anything on the page stops it: an editor, a graph.
    document.addEventListener("keydown", press, { capture: true });
    return () => document.removeEventListener("keydown", press, { capture: true });
  }, []);
  return (
    <>
      <button type="button" className="rail-link" aria-haspopup="dialog" aria-keyshortcuts="Control+K Meta+K" title={t("palette")} onClick={() => setOpen(true)}>
        <Icon name="search" />
        <kbd className="rail-keys" aria-hidden="true">
          {SHORTCUT}
        </kbd>
        <span className="hidden">{t("palette")}</span>
      </button>
      {open && (
        <Suspense>
          <Palette onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
