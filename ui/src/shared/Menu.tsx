/** A button that opens a small panel; closes on Escape, on a click elsewhere, and when focus leaves. */
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Icon } from "./icons";

/** `end` opens it towards the left, for buttons at the right end of a bar. */
export function Menu({ label, children, end = false }: { label: ReactNode; children: ReactNode; end?: boolean }) {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const closeElsewhere = (event: Event) => {
      if (event.target instanceof Node && !place.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", closeElsewhere);
    document.addEventListener("focusin", closeElsewhere);
    return () => {
      document.removeEventListener("pointerdown", closeElsewhere);
      document.removeEventListener("focusin", closeElsewhere);
    };
  }, [open]);
  return (
    <div
      className="menu"
      ref={place}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          event.stopPropagation();
          setOpen(false);
          place.current?.querySelector("button")?.focus();
        }
      }}
    >
      <button type="button" className="control" aria-expanded={open} onClick={() => setOpen(!open)}>
        {label}
        <Icon name="chevron" size={14} />
      </button>
      {open && <div className={`menu-panel${end ? " menu-end" : ""}`}>{children}</div>}
    </div>
  );
}
