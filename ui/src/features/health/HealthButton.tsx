/** A health state that opens what is behind it. */
import { createContext, lazy, Suspense, useContext, useEffect, useRef, useState } from "react";
import type { HealthStatus } from "../../api/client";
import { useText } from "../../app/language";
import { HealthLabel } from "../../shared/health";
import { Icon } from "../../shared/icons";

const HealthDetails = lazy(() => import("./HealthDetails"));

/** The graph or list a node or an edge is of: what it means depends on how it is drawn, and when. */
export interface HealthScope {
  at: number | null;
  durationSeconds: number;
  graphType?: string;
  services?: boolean;
  namespaces?: readonly string[];
}

export const HealthScopeContext = createContext<HealthScope>({ at: null, durationSeconds: 60 });

interface Properties {
  status: HealthStatus;
  measured?: boolean;
  kind: "node" | "edge";
  id: string;
  name: string;
}

export function HealthButton({ status, measured = true, kind, id, name }: Properties) {
  const t = useText();
  const scope = useContext(HealthScopeContext);
  // What is open stays as it was when it was opened, whatever goes on behind it.
  const [opened, setOpened] = useState<HealthScope | null>(null);
  const open = opened !== null;
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
  }, [open]);
  if (!measured) return <HealthLabel status={status} measured={measured} />;
  const health = t(`health.${status}`).toLowerCase();
  return (
    <>
      <button type="button" className="health-button" aria-haspopup="dialog" aria-label={`${name}: ${t("whyHealth", { health })}`} title={t("whyHealth", { health })} onClick={() => setOpened(scope)}>
        <HealthLabel status={status} />
      </button>
      {opened !== null && (
        <dialog ref={dialog} className="health-dialog" aria-label={t("whyTitle", { name, health })} onClose={() => setOpened(null)} onKeyDown={(event) => event.stopPropagation()}>
          <header>
            <h2>{t("whyTitle", { name, health })}</h2>
            <button type="button" className="icon-button" onClick={() => dialog.current?.close()} aria-label={t("close")}>
              <Icon name="close" />
            </button>
          </header>
          <Suspense fallback={<p className="page-note">{t("loading")}</p>}>
            <HealthDetails kind={kind} id={id} scope={opened} />
          </Suspense>
        </dialog>
      )}
    </>
  );
}
