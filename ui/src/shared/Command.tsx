/** A command to run, with a button that copies it. */
import { useEffect, useState } from "react";
import { useText } from "../app/language";

export function Command({ text }: { text: string }) {
  const t = useText();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = window.setTimeout(() => setCopied(false), 2000);
    return () => window.clearTimeout(timer);
  }, [copied]);
  return (
    <span className="command">
      <code>{text}</code>
      <button type="button" className="control" aria-label={`${t("copy")}: ${text}`} onClick={() => void copyText(text).then(setCopied)}>
        <span aria-live="polite">{t(copied ? "copied" : "copy")}</span>
      </button>
    </span>
  );
}

/** Whether it worked: browsers offer the clipboard to secure pages only, and may refuse. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
