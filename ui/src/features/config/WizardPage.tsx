/** A form for what is asked for most; it writes plain objects, which are read and may be changed before they are applied. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import { fetchConfig, fetchServices, fetchWorkloads } from "../../api/client";
import { useText } from "../../app/language";
import { objectAddress } from "../../domain/configAddress";
import { shareOut, WIZARDS, writeObjects, type Answers, type Wizard } from "../../domain/wizards";
import { writeYaml } from "../../domain/yaml";
import { Icon } from "../../shared/icons";

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
} satisfies Partial<Answers>;
type Numbers = "abortPercent" | "abortStatus" | "delayPercent" | "delaySeconds" | "timeoutSeconds" | "attempts" | "mostConnections" | "mostPending" | "errors" | "ejectionSeconds";
const FIELDS: Record<Wizard, readonly [Numbers, number][]> = {
  shift: [],
  header: [],
  fault: [["abortPercent", 100], ["abortStatus", 599], ["delayPercent", 100], ["delaySeconds", 60]],
  timeout: [["timeoutSeconds", 600], ["attempts", 20]],
  breaker: [["mostConnections", 100000], ["mostPending", 100000], ["errors", 1000], ["ejectionSeconds", 3600]],
};

export default function WizardPage() {
  const t = useText();
  const navigate = useNavigate();
  const [parameters, setParameters] = useSearchParams();
  const [given, setGiven] = useState<Omit<Answers, "service" | "namespace" | "versions">>(FIRST);
  const services = useQuery({ queryKey: ["services"], queryFn: ({ signal }) => fetchServices(signal) }).data?.items;
  const workloads = useQuery({ queryKey: ["workloads"], queryFn: ({ signal }) => fetchWorkloads(signal) }).data?.items;
  const config = useQuery({ queryKey: ["config"], queryFn: ({ signal }) => fetchConfig(signal) }).data?.items;
  useEffect(() => {
    document.title = `${t("wizard")} · Kaiki`;
  }, [t]);
  const offered = services?.filter((item) => item.workloads.length > 0) ?? [];
  const place = parameters.get("service") ?? "";
  const chosen = offered.find((item) => `${item.namespace}/${item.name}` === place);
  const wizard = WIZARDS.find((name) => name === parameters.get("wizard")) ?? "shift";
  const versions = [...new Set(workloads?.filter((item) => item.namespace === chosen?.namespace && chosen.workloads.includes(item.name) && item.version !== "").map((item) => item.version))].sort();
  const answers: Answers = {
    ...given,
    headerVersion: given.headerVersion === "" ? (versions.at(-1) ?? "") : given.headerVersion,
    service: chosen?.name ?? "",
    namespace: chosen?.namespace ?? "",
    versions,
  };
  const choose = (name: string, value: string) =>
    setParameters((before) => {
      const next = new URLSearchParams(before);
      next.set(name, value);
      return next;
    });
  const needsVersions = wizard === "shift" || wizard === "header";
  const ready = chosen !== undefined && (!needsVersions || versions.length > 0) && (wizard !== "header" || given.headerValue !== "");
  const shares = shareOut(versions, Object.fromEntries(versions.map((version) => [version, given.weights[version] ?? 50])));
  const objects = ready ? writeObjects(wizard, { ...answers, weights: shares }) : [];
  return (
    <div className="list-page">
      <header className="list-head object-head">
        <Link to="/config" className="icon-button" aria-label={t("config")}>
          <Icon name="back" />
        </Link>
        <h1>{t("wizard")}</h1>
      </header>
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
          {wizard === "shift" &&
            versions.map((version) => (
              <label key={version} className="slider">
                <span>{version}</span>
                <input
                  type="range"
                  min={0}
                  max={100}
                  value={given.weights[version] ?? 50}
                  onChange={(event) => setGiven({ ...given, weights: { ...given.weights, [version]: Number(event.target.value) } })}
                />
                <output>{shares[version]}%</output>
              </label>
            ))}
          {wizard === "header" && (
            <>
              <label className="field">
                <span>{t("headerName")}</span>
                <input value={given.headerName} onChange={(event) => setGiven({ ...given, headerName: event.target.value })} />
              </label>
              <label className="field">
                <span>{t("headerValue")}</span>
                <input value={given.headerValue} onChange={(event) => setGiven({ ...given, headerValue: event.target.value })} />
              </label>
              <label className="choice">
                <span>{t("version")}</span>
                <select value={answers.headerVersion} onChange={(event) => setGiven({ ...given, headerVersion: event.target.value })}>
                  {versions.map((version) => (
                    <option key={version}>{version}</option>
                  ))}
                </select>
              </label>
            </>
          )}
          {FIELDS[wizard].map(([name, most]) => (
            <label key={name} className="field">
              <span>{t(`wizardField.${name}`)}</span>
              <input type="number" min={0} max={most} value={given[name]} onChange={(event) => setGiven({ ...given, [name]: Math.min(most, Math.max(0, Number(event.target.value))) })} />
            </label>
          ))}
          {chosen !== undefined && needsVersions && versions.length === 0 && <p role="status">{t("noVersions")}</p>}
        </section>
        <section className="wizard-result" aria-label="YAML">
          {objects.length === 0 && <p className="soft">{t("wizardEmpty")}</p>}
          {objects.map((object, index) => {
            const kind = String(object["kind"]);
            const known = config?.find((item) => item.kind === kind && item.namespace === answers.namespace && item.name === answers.service);
            const yaml = `${writeYaml(object)}\n`;
            return (
              <article key={kind}>
                <h2>
                  {index + 1}. {kind}
                </h2>
                <pre className="source" tabIndex={0} aria-label={kind}>
                  <code>{yaml}</code>
                </pre>
                <button type="button" className="control primary" onClick={() => void navigate(known === undefined ? "/config/new" : objectAddress(known), { state: { yaml } })}>
                  {t(known === undefined ? "wizardCreate" : "wizardReplace", { kind })}
                </button>
              </article>
            );
          })}
        </section>
      </div>
    </div>
  );
}
