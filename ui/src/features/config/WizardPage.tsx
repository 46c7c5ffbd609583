/**
 * A form for what is asked for most; it writes plain objects, which are read and may be changed before they are applied. Where the
 * service has such an object already, the form begins with what that says, and changes it.
 */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { fetchConfig, fetchServices, fetchWorkloads } from "../../api/client";
import { untilAnswered } from "../../api/queries";
import { useText } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import { findExisting, isRefusal, readAnswers, shareOut, versionsOf, withFreeName, WIZARDS, writeObjects, type Answers, type Existing, type Listed, type Refusal, type Value, type Wizard } from "../../domain/wizards";
import { writeYaml } from "../../domain/yaml";
import { FailureBanner } from "../../shared/failure";
import { Icon } from "../../shared/icons";
import { usePolling } from "../../shared/useEvents";
import { Warning } from "../../shared/states";
import { RIGHTS_NOTE, RightsNote } from "../access/RightsNote";
import { useRights, type Wish } from "../access/useRights";
import type { Step } from "./NextStep";
import { WizardForm } from "./WizardForm";

const FIRST = {
  weights: {},
  headerName: "end-user",
  headerValue: "",
  headerVersion: "",
  abortPercent: 10,
  abortStatus: 503,
  delayPercent: 0,
  delaySeconds: 2,
  timeoutSeconds: 3,
  attempts: 2,
  mostConnections: 100,
  mostPending: 100,
  errors: 5,
  ejectionSeconds: 30,
  mode: "STRICT",
  action: "ALLOW",
  callers: "",
  methods: "",
  paths: "",
} satisfies Partial<Answers>;

/** Somebody may make such an object meanwhile, and the console's own list is a moment old. */
const CONFIG_MILLISECONDS = 3000;

interface Chosen {
  service: string;
  namespace: string;
  selector: Record<string, string>;
  running: readonly string[];
}

export default function WizardPage() {
  const t = useText();
  const [parameters, setParameters] = useSearchParams();
  const services = useQuery({ queryKey: ["services"], queryFn: ({ signal }) => fetchServices(signal) });
  const workloads = useQuery({ queryKey: ["workloads"], queryFn: ({ signal }) => fetchWorkloads(signal) });
  const config = useQuery({ queryKey: ["config"], queryFn: ({ signal }) => fetchConfig(signal), refetchInterval: usePolling(CONFIG_MILLISECONDS) || untilAnswered });
  useEffect(() => {
    document.title = `${t("wizard")} · Kaiki`;
  }, [t]);
  const offered = services.data?.items.filter((item) => item.workloads.length > 0) ?? [];
  const place = parameters.get("service") ?? "";
  const chosen = offered.find((item) => `${item.namespace}/${item.name}` === place);
  const wizard = WIZARDS.find((name) => name === parameters.get("wizard")) ?? "shift";
  const members = workloads.data?.items.filter((item) => item.namespace === chosen?.namespace && chosen.workloads.includes(item.name) && item.version !== "") ?? [];
  const error = services.error ?? workloads.error ?? config.error;
  const known = workloads.data !== undefined && config.data !== undefined;
  const choose = (name: string, value: string) =>
    setParameters((before) => {
      const next = new URLSearchParams(before);
      next.set(name, value);
      return next;
    });
  return (
    <div className="list-page">
      <header className="list-head object-head">
        <Link to="/config" className="icon-button" aria-label={t("config")}>
          <Icon name="back" />
        </Link>
        <h1>{t("wizard")}</h1>
      </header>
      {error !== null && <FailureBanner error={error} />}
      {config.data?.warnings.map((warning) => <Warning key={warning.code} {...warning} />)}
      <div className="wizard">
        <section className="wizard-form" aria-label={t("wizard")}>
          <label className="choice">
            <span>{t("service")}</span>
            <select value={place} onChange={(event) => choose("service", event.target.value)}>
              <option value="">–</option>
              {offered.map((item) => (
                <option key={`${item.namespace}/${item.name}`}>{`${item.namespace}/${item.name}`}</option>
              ))}
            </select>
          </label>
          <div className="pills" role="group" aria-label={t("wizard")}>
            {WIZARDS.map((name) => (
              <button key={name} type="button" className="control" aria-pressed={name === wizard} onClick={() => choose("wizard", name)}>
                {t(`wizard.${name}`)}
              </button>
            ))}
          </div>
          <p className="soft">{t(`wizardHint.${wizard}`)}</p>
        </section>
        {chosen === undefined && <p className="wizard-result soft">{t("wizardEmpty")}</p>}
        {chosen !== undefined && !known && error === null && <p className="wizard-result page-note">{t("loading")}</p>}
        {chosen !== undefined && known && (
          <Questions
            key={`${wizard} ${place}`}
            wizard={wizard}
            chosen={{ service: chosen.name, namespace: chosen.namespace, selector: chosen.selector, running: members.map((item) => item.version) }}
            listed={config.data.items}
          />
        )}
      </div>
    </div>
  );
}

function Questions({ wizard, chosen, listed }: { wizard: Wizard; chosen: Chosen; listed: readonly Listed[] }) {
  const t = useText();
  const [edited, setEdited] = useState<Partial<Answers>>({});
  const existing = findExisting(wizard, chosen, listed);
  if (isRefusal(existing)) return <Refused refusal={existing} />;
  const read = readAnswers(wizard, chosen, existing);
  if (isRefusal(read)) return <Refused refusal={read} />;
  const versions = versionsOf(chosen.running, existing);
  const { service, namespace, selector } = chosen;
  const even = { weights: Object.fromEntries(versions.map((version) => [version, 50])), headerVersion: versions.at(-1) ?? "" };
  const answers: Answers = { ...FIRST, ...even, ...read, ...edited, service, namespace, selector, versions };
  const needsVersions = wizard === "shift" || wizard === "header";
  const needsSelector = wizard === "mtls" || wizard === "access";
  const lacks = needsVersions && versions.length === 0 ? "noVersions" : needsSelector && Object.keys(selector).length === 0 ? "wizardSelectorMissing" : null;
  const ready = lacks === null && (wizard !== "header" || answers.headerValue !== "");
  const shares = shareOut(versions, answers.weights);
  const objects = ready ? writeObjects(wizard, answers, existing).map((object) => withFreeName(object, existing, listed)) : [];
  return (
    <>
      <section className="wizard-form" aria-label={t(`wizard.${wizard}`)}>
        <WizardForm wizard={wizard} answers={answers} shares={shares} change={(changed) => setEdited({ ...edited, ...changed })} />
        {lacks !== null && <p role="status">{t(lacks)}</p>}
        {Object.keys(existing).length > 0 && <p className="soft">{t("wizardRead", { objects: Object.values(existing).map(nameOf).join(", ") })}</p>}
      </section>
      <section className="wizard-result" aria-label="YAML">
        {objects.length === 0 && <p className="soft">{t("wizardEmpty")}</p>}
        <Results objects={objects} existing={existing} />
      </section>
    </>
  );
}

const nameOf = (item: Listed) => `${item.kind} ${item.namespace}/${item.name}`;

function Refused({ refusal }: { refusal: Refusal }) {
  const t = useText();
  return (
    <section className="wizard-result" aria-label={t("wizard")}>
      <p role="status">{t(`wizardRefused.${refusal.reason}`)}</p>
      <ul>
        {refusal.objects.map((item) => (
          <li key={nameOf(item)}>
            <Link to={objectAddress(item)}>{nameOf(item)}</Link>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Results({ objects, existing }: { objects: readonly Value[]; existing: Existing }) {
  const t = useText();
  const navigate = useNavigate();
  const there = (object: Value) => Object.values(existing).find((item: Listed) => item.kind === object["kind"]) as Listed | undefined;
  const rights = useRights(
    objects.map((object): Wish => {
      const { namespace } = object["metadata"] as { namespace: string };
      const known = there(object);
      return { object: { apiVersion: String(object["apiVersion"]), kind: String(object["kind"]), namespace, name: known?.name ?? "" }, change: known === undefined ? "create" : "update" };
    }),
  );
  const steps: Step[] = objects.map((object) => {
    const known = there(object);
    return { to: known === undefined ? "/config/new" : objectAddress(known), kind: String(object["kind"]), yaml: `${writeYaml(object)}\n` };
  });
  return (
    <>
      {objects.map((object, index) => {
        const kind = String(object["kind"]);
        const known = there(object);
        const yaml = `${writeYaml(object)}\n`;
        const step = steps[index];
        return (
          <article key={kind}>
            <h2>
              {index + 1}. {kind}
            </h2>
            <pre className="source" tabIndex={0} aria-label={kind}>
              <code>{yaml}</code>
            </pre>
            <button
              type="button"
              className="control primary"
              disabled={rights.refuses(index)}
              aria-describedby={RIGHTS_NOTE}
              onClick={() => step !== undefined && void navigate(step.to, { state: { yaml, steps: steps.slice(index + 1) } })}
            >
              {t(known === undefined ? "wizardCreate" : "wizardReplace", { kind })}
            </button>
          </article>
        );
      })}
      <RightsNote answer={rights} />
    </>
  );
}
