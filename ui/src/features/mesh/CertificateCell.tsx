/** When a certificate ends, in words that need no arithmetic. */
import { useState } from "react";
import type { Proxy } from "../../api/pages";
import { useLanguage } from "../../app/language";
import { formatMoment } from "../../domain/format";
import { durationText } from "../graph/words";
import { Icon } from "../../shared/icons";

/** Proxies get a new one after four fifths of the old one's life; below this something holds that up. */
const SOON_SECONDS = 3600;

export function CertificateCell({ certificate }: { certificate: Proxy["certificate"] }) {
  const { t, language } = useLanguage();
  const [now] = useState(() => Date.now());
  if (certificate === null) return <span className="soft">–</span>;
  const seconds = (new Date(certificate.expires).getTime() - now) / 1000;
  if (!Number.isFinite(seconds)) return <span className="soft">–</span>;
  const rounded = seconds >= 3600 ? Math.floor(seconds / 3600) * 3600 : Math.max(60, Math.floor(seconds / 60) * 60);
  const title = [t("expiresAt", { time: formatMoment(certificate.expires, language) }), certificate.rotates === "" ? "" : t("rotatesAt", { time: formatMoment(certificate.rotates, language) })]
    .filter((part) => part !== "")
    .join("\n");
  if (seconds <= 0)
    return (
      <span className="with-icon bad" title={title}>
        <Icon name="warning" size={15} /> {t("expired")}
      </span>
    );
  return (
    <span className={`with-icon${seconds < SOON_SECONDS ? " finding-mark" : ""}`} title={title}>
      <Icon name={seconds < SOON_SECONDS ? "warning" : "lock"} size={15} /> {t("expiresIn", { time: durationText(rounded, t) })}
    </span>
  );
}
