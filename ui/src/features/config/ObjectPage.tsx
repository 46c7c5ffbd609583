/** One mesh object: read, edited with live checks, tried, saved, deleted. Also the page that makes a new one. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { Link, useLocation, useNavigate, useSearchParams } from "react-router";
import { ApiError, checkObject, deleteObject, fetchMe, fetchObject, fetchSchema, saveObject, type Check } from "../../api/client";
import { useText } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import type { Schema } from "../../domain/completion";
import { FailureBanner } from "../../shared/failure";
import { draftKey, keepDraft, readDraft } from "../../domain/drafts";
import { Icon } from "../../shared/icons";
import { RIGHTS_NOTE, RightsNote } from "../access/RightsNote";
import { useRights } from "../access/useRights";
import { Conflict } from "./Conflict";
import { EffectList } from "./EffectList";
import { IdentityNote } from "./IdentityNote";
import { InForcePanel } from "./InForce";
import { NextStep, useNextStep, type Handed, type Step } from "./NextStep";
import { ProblemList } from "./ProblemList";
import { useCheck } from "./useCheck";

const Editor = lazy(() => import("./Editor"));
const NO_STEPS: readonly Step[] = [];
const TEMPLATE = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: new-routes
  namespace: default
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
`;

export default function ObjectPage({ fresh = false }: { fresh?: boolean }) {
  const t = useText();
  const [parameters] = useSearchParams();
  const location = useLocation();
  const place = {
    apiVersion: parameters.get("apiVersion") ?? "",
    kind: parameters.get("kind") ?? "",
    namespace: parameters.get("namespace") ?? "",
    name: parameters.get("name") ?? "",
  };
  // What a wizard handed over is begun with once: what is saved, or loaded anew, is not overwritten by it.
  const [taken, setTaken] = useState("");
  const handed = location.state as Handed | null;
  const given = taken === location.key ? undefined : handed?.yaml;
  const query = useQuery({
    queryKey: ["object", place],
    queryFn: ({ signal }) => fetchObject(place, signal),
    enabled: !fresh,
    refetchOnWindowFocus: false,
    staleTime: Infinity,
    gcTime: 0,
  });
  const title = fresh ? t("newObject") : place.name;
  useEffect(() => {
    document.title = `${title} · Kaiki`;
  }, [title]);
  const stored = fresh ? { yaml: "", resourceVersion: "" } : query.data;
  return (
    <div className="list-page">
      <header className="list-head object-head">
        <Link to="/config" className="icon-button" aria-label={t("config")}>
          <Icon name="back" />
        </Link>
        <div>
          <p className="soft">{fresh ? t("config") : `${place.kind} · ${place.namespace}`}</p>
          <h1>{title}</h1>
        </div>
        <span className="spacer" />
        {!fresh && (
          <Link className="control" to={`/changes?${new URLSearchParams({ kind: place.kind, namespace: place.namespace, name: place.name }).toString()}`}>
            <Icon name="clock" size={15} /> {t("configChanges")}
          </Link>
        )}
      </header>
      {query.error !== null && <FailureBanner error={query.error} />}
      {stored === undefined && query.error === null && <p className="page-note">{t("loading")}</p>}
      {stored !== undefined && (
        <ObjectEditor
          key={`${stored.resourceVersion} ${location.key}`}
          stored={stored}
          first={fresh ? TEMPLATE : stored.yaml}
          given={given}
          steps={handed?.steps ?? NO_STEPS}
          place={place}
          settled={() => setTaken(location.key)}
          reload={() => void query.refetch()}
        />
      )}
    </div>
  );
}

interface EditorProperties {
  stored: { yaml: string; resourceVersion: string };
  /** What to begin with: what is stored, or of a new object an example. */
  first: string;
  /** What somebody else (a wizard) wants to have begun with. */
  given: string | undefined;
  /** What the wizard wants to have opened after this. */
  steps: readonly Step[];
  place: { apiVersion: string; kind: string; namespace: string; name: string };
  /** What was begun with is saved, or given up. */
  settled: () => void;
  reload: () => void;
}

function ObjectEditor({ stored, first, given, steps, place, settled, reload }: EditorProperties) {
  const t = useText();
  const navigate = useNavigate();
  const [parameters] = useSearchParams();
  const queries = useQueryClient();
  const { resourceVersion } = stored;
  const key = draftKey(resourceVersion === "" ? null : place);
  const [draft] = useState(() => (given === undefined ? readDraft(key) : null));
  const [text, setText] = useState(given ?? draft?.yaml ?? first);
  const { checked, failure: unchecked } = useCheck(text, resourceVersion);
  const [effect, setEffect] = useState<{ check: Check; of: string } | null>(null);
  const [asking, setAsking] = useState(false);
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => fetchMe(signal), staleTime: 60_000 });
  const kind = readKind(text) ?? place;
  const schema = useQuery({ queryKey: ["schema", kind.apiVersion, kind.kind], queryFn: ({ signal }) => fetchSchema(kind, signal), staleTime: Infinity, retry: false });
  const fresh = resourceVersion === "";
  const rights = useRights(
    fresh
      ? [{ object: { ...kind, namespace: readNamespace(text), name: "" }, change: "create" }]
      : [
          { object: place, change: "update" },
          { object: place, change: "delete" },
        ],
  );
  const edited = text !== stored.yaml;
  const drafted = draft !== null && text === draft.yaml && text !== first;
  useEffect(() => {
    keepDraft(key, text === first ? null : { yaml: text, resourceVersion: draft !== null && text === draft.yaml ? draft.resourceVersion : resourceVersion });
  }, [key, text, first, draft, resourceVersion]);

  const preview = useMutation({
    mutationFn: (deleted: boolean) => checkObject({ yaml: text, resourceVersion, deleted }, true),
    onSuccess: (check) => setEffect({ check, of: text }),
  });
  const goOn = useNextStep(steps);
  const save = useMutation({
    mutationFn: (version: string) => saveObject(text, version),
    onSuccess: (saved) => {
      keepDraft(key, null);
      settled();
      queries.setQueryData(["object", place], saved);
      void queries.invalidateQueries({ queryKey: ["config"] });
      void queries.invalidateQueries({ queryKey: ["changes"] });
      if (goOn()) return;
      const now = readPlace(saved.yaml);
      if (resourceVersion === "" && now !== null) void navigate(objectAddress(now), { replace: true });
    },
  });
  const remove = useMutation({
    mutationFn: () => deleteObject(place, resourceVersion),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["config"] });
      void navigate("/config");
    },
  });
  const loadNewest = () => {
    keepDraft(key, null);
    settled();
    reload();
  };
  const problems = checked?.problems ?? [];
  const broken = problems.some((problem) => problem.severity === "Error");
  const mayChange = me.data?.canChange === true;
  const failure = save.error ?? remove.error ?? preview.error;
  const conflict = failure instanceof ApiError && failure.code === "conflict";
  return (
    <div className="object-page">
      <section className="object-main" aria-label="YAML">
        <div className="object-tools">
          <button type="button" className="control primary" disabled={!mayChange || !rights.allows(fresh ? "create" : "update") || !edited || broken || save.isPending} aria-describedby={RIGHTS_NOTE} onClick={() => save.mutate(resourceVersion)}>
            {t(resourceVersion === "" ? "create" : "save")}
          </button>
          <button type="button" className="control" disabled={preview.isPending || broken} onClick={() => preview.mutate(false)}>
            {t("previewEffect")}
          </button>
          <button type="button" className="control" disabled={!edited} onClick={() => setText(first)}>
            {t("discard")}
          </button>
          <span className="spacer" />
          {resourceVersion !== "" && (
            <button
              type="button"
              className="control danger"
              disabled={!mayChange || !rights.allows("delete")}
              aria-describedby={RIGHTS_NOTE}
              onClick={() => {
                setAsking(true);
                preview.mutate(true);
              }}
            >
              {t("delete")}
            </button>
          )}
        </div>
        {asking && (
          <Question
            text={t("deleteQuestion", { name: `${place.kind} ${place.namespace}/${place.name}` })}
            yes={t("deleteYes")}
            onYes={() => remove.mutate()}
            onNo={() => {
              setAsking(false);
              setEffect(null);
            }}
          />
        )}
        <NextStep steps={steps} saved={!edited} />
        {drafted && <p className="notice" role="status">{t(draft.resourceVersion === resourceVersion ? "draftBack" : "draftOutdated")}</p>}
        {failure !== null && (
          <div className="banner" role="alert">
            <Icon name="warning" size={20} />
            <div>
              <strong>{failure.message}</strong>
              {failure instanceof ApiError && failure.hint !== "" && <p>{failure.hint}</p>}
              {conflict && resourceVersion !== "" && (
                <Conflict place={place} text={text} loadNewest={loadNewest} saveOver={(version) => save.mutate(version)} />
              )}
            </div>
          </div>
        )}
        <Suspense fallback={<p className="page-note">{t("loading")}</p>}>
          <Editor label={t("editorLabel")} value={text} onChange={setText} problems={problems} schema={schema.data?.schema as Schema | undefined} readOnly={false} line={Number(parameters.get("line")) || 0} />
        </Suspense>
        <p className="editor-keys">{t("editorKeys")}</p>
      </section>
      <aside className="panel" aria-label={t("checks")}>
        <IdentityNote me={me.data} />
        <RightsNote answer={rights} />
        <h2 className="part">{t("checks")}</h2>
        {unchecked !== null && (
          <p className="notice" role="status">
            {t("checkFailed")} {unchecked.message === "" ? t("consoleUnreachable") : unchecked.message}
          </p>
        )}
        {unchecked === null && (checked === null ? <p className="soft">{t("loading")}</p> : <ProblemList problems={problems} />)}
        {resourceVersion !== "" && <InForcePanel place={place} />}
        <h2 className="part">{t("effect")}</h2>
        {effect === null || effect.check.effect === null ? (
          <p className="soft">{t("effectHint")}</p>
        ) : (
          <EffectList effect={effect.check.effect} stale={effect.of !== text} />
        )}
      </aside>
    </div>
  );
}

export function Question({ text, yes, onYes, onNo }: { text: ReactNode; yes: string; onYes: () => void; onNo: () => void }) {
  const t = useText();
  return (
    <div className="banner" role="alertdialog" aria-label={t("confirm")}>
      <Icon name="warning" size={20} />
      <div>
        <strong>{text}</strong>
        <p className="object-tools">
          <button type="button" className="control danger" onClick={onYes}>
            {yes}
          </button>
          <button type="button" className="control" autoFocus onClick={onNo}>
            {t("cancel")}
          </button>
        </p>
      </div>
    </div>
  );
}

function readKind(text: string): { apiVersion: string; kind: string } | null {
  const apiVersion = /^apiVersion:\s*["']?([\w./-]+)/m.exec(text)?.[1];
  const kind = /^kind:\s*["']?(\w+)/m.exec(text)?.[1];
  return apiVersion === undefined || kind === undefined ? null : { apiVersion, kind };
}

/** Where a new object goes. */
const readNamespace = (text: string): string => /^ {2}namespace:\s*["']?([\w.-]+)/m.exec(text)?.[1] ?? "default";

/** Of YAML as the server writes it. */
function readPlace(text: string) {
  const kind = readKind(text);
  const name = /^ {2}name: (.+)$/m.exec(text)?.[1];
  const namespace = /^ {2}namespace: (.+)$/m.exec(text)?.[1] ?? "";
  return kind === null || name === undefined ? null : { ...kind, namespace, name };
}
