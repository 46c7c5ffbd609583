/** A wizard of several objects: which one comes after the one that is open. */
import { useNavigate } from "react-router";
import { useText } from "../../app/language";

export interface Step {
  to: string;
  kind: string;
  yaml: string;
}

/** What a page hands to the editor. */
export interface Handed {
  yaml?: string;
  steps?: readonly Step[];
}

/** Opens the next object; false where this was the last. */
export function useNextStep(steps: readonly Step[]): () => boolean {
  const navigate = useNavigate();
  return () => {
    const [next, ...more] = steps;
    if (next === undefined) return false;
    void navigate(next.to, { state: { yaml: next.yaml, steps: more } satisfies Handed });
    return true;
  };
}

/** What is already as it should be is passed over. */
export function NextStep({ steps, saved }: { steps: readonly Step[]; saved: boolean }) {
  const t = useText();
  const goOn = useNextStep(steps);
  if (steps[0] === undefined) return null;
  return (
    <p className="notice" role="status">
      {t(saved ? "wizardPass" : "wizardNext", { kind: steps[0].kind })}{" "}
      {saved && (
        <button type="button" className="link" onClick={goOn}>
          {t("wizardGoOn", { kind: steps[0].kind })}
        </button>
      )}
    </p>
  );
}
