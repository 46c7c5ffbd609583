/** One mesh object: read, edited with live checks, tried, saved, deleted. Also the page that makes a new one. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState, type ReactNode } from "react";
import { Link, useLocation, useNavigate, useSearchParams } from "react-router";
import { ApiError, checkObject, deleteObject, fetchMe, fetchObject, fetchSchema, saveObject, type Check } from "../../api/client";
import { useText } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import type { Schema } from "../../domain/completion";
import { FailureBanner } from "../../shared/failure";
import { Icon } from "../../shared/icons";
import { EffectList } from "./EffectList";
import { IdentityNote } from "./IdentityNote";
import { InForcePanel } from "./InForce";
import { ProblemList } from "./ProblemList";

const Editor = lazy(() => import("./Editor"));
const CHECK_DELAY_MILLISECONDS = 500;
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
  const given = (location.state as { yaml?: string } | null)?.yaml;
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
          key={stored.resourceVersion}
          stored={stored}
          first={given ?? (fresh ? TEMPLATE : stored.yaml)}
          place={place}
          reload={() => void query.refetch()}
        />
      )}
    </div>
  );
}

interface EditorProperties {
  stored: { yaml: string; resourceVersion: string };
  first: string;
  place: { apiVersion: string; kind: string; namespace: string; name: string };
  reload: () => void;
}

function ObjectEditor({ stored, first, place, reload }: EditorProperties) {
  const t = useText();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [text, setText] = useState(first);
  const [checked, setChecked] = useState<Check | null>(null);
  const [effect, setEffect] = useState<{ check: Check; of: string } | null>(null);
  const [asking, setAsking] = useState(false);
  const me = useQuery({ queryKey: ["me"], queryFn: ({ signal }) => fetchMe(signal), staleTime: 60_000 });
  const kind = readKind(text) ?? place;
  const schema = useQuery({ queryKey: ["schema", kind.apiVersion, kind.kind], queryFn: ({ signal }) => fetchSchema(kind, signal), staleTime: Infinity, retry: false });
  const { resourceVersion } = stored;
  const edited = text !== stored.yaml;

  useEffect(() => {
    const stop = new AbortController();
    const timer = window.setTimeout(() => {
      checkObject({ yaml: text, resourceVersion }, false, stop.signal)
        .then(setChecked)
        .catch((error: unknown) => {
          if (!(error instanceof ApiError)) return;
          setChecked({ problems: [{ severity: "Error", message: error.message, hint: error.hint, line: 1, code: "", path: "" }], effect: null });
        });
    }, CHECK_DELAY_MILLISECONDS);
    return () => {
      window.clearTimeout(timer);
      stop.abort();
    };
  }, [text, resourceVersion]);

  const preview = useMutation({
    mutationFn: (deleted: boolean) => checkObject({ yaml: text, resourceVersion, deleted }, true),
    onSuccess: (check) => setEffect({ check, of: text }),
  });
  const save = useMutation({
    mutationFn: () => saveObject(text, resourceVersion),
    onSuccess: (saved) => {
      queries.setQueryData(["object", place], saved);
      void queries.invalidateQueries({ queryKey: ["config"] });
      void queries.invalidateQueries({ queryKey: ["changes"] });
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
  const problems = checked?.problems ?? [];
  const broken = problems.some((problem) => problem.severity === "Error");
  const mayChange = me.data?.canChange === true;
  const failure = save.error ?? remove.error ?? preview.error;
  const conflict = failure instanceof ApiError && failure.code === "conflict";
  return (
    <div className="object-page">
      <section className="object-main" aria-label="YAML">
        <div className="object-tools">
          <button type="button" className="control primary" disabled={!mayChange || !edited || broken || save.isPending} onClick={() => save.mutate()}>
            {t(resourceVersion === "" ? "create" : "save")}
          </button>
          <button type="button" className="control" disabled={preview.isPending || broken} onClick={() => preview.mutate(false)}>
            {t("previewEffect")}
          </button>
          <button type="button" className="control" disabled={!edited} onClick={() => setText(stored.yaml)}>
            {t("discard")}
          </button>
          <span className="spacer" />
          {resourceVersion !== "" && (
            <button
              type="button"
              className="control danger"
              disabled={!mayChange}
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
        {failure !== null && (
          <div className="banner" role="alert">
            <Icon name="warning" size={20} />
            <div>
              <strong>{failure.message}</strong>
              {failure instanceof ApiError && failure.hint !== "" && <p>{failure.hint}</p>}
              {conflict && resourceVersion !== "" && (
                <button type="button" className="control" onClick={reload}>
                  {t("loadNewest")}
                </button>
              )}
            </div>
          </div>
        )}
        <Suspense fallback={<p className="page-note">{t("loading")}</p>}>
          <Editor label={t("editorLabel")} value={text} onChange={setText} problems={problems} schema={schema.data?.schema as Schema | undefined} readOnly={false} />
        </Suspense>
      </section>
      <aside className="panel" aria-label={t("checks")}>
        <IdentityNote me={me.data} />
        <h2 className="part">{t("checks")}</h2>
        {checked === null ? <p className="soft">{t("loading")}</p> : <ProblemList problems={problems} />}
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

/** Of YAML as the server writes it. */
function readPlace(text: string) {
  const kind = readKind(text);
  const name = /^ {2}name: (.+)$/m.exec(text)?.[1];
  const namespace = /^ {2}namespace: (.+)$/m.exec(text)?.[1] ?? "";
  return kind === null || name === undefined ? null : { ...kind, namespace, name };
}
