/** The questions of one wizard. */
import { useText } from "../../app/language";
import { ACTIONS, MODES, type Answers, type Wizard } from "../../domain/wizards";

type Numbers = "abortPercent" | "abortStatus" | "delayPercent" | "delaySeconds" | "timeoutSeconds" | "attempts" | "mostConnections" | "mostPending" | "errors" | "ejectionSeconds";
type Texts = "callers" | "methods" | "paths";

const FIELDS: Record<Wizard, readonly [Numbers, number][]> = {
  shift: [],
  header: [],
  fault: [["abortPercent", 100], ["abortStatus", 599], ["delayPercent", 100], ["delaySeconds", 60]],
  timeout: [["timeoutSeconds", 600], ["attempts", 20]],
  breaker: [["mostConnections", 100000], ["mostPending", 100000], ["errors", 1000], ["ejectionSeconds", 3600]],
  mtls: [],
  access: [],
};
const LISTS: readonly [Texts, string][] = [
  ["callers", "cluster.local/ns/default/sa/web"],
  ["methods", "GET, HEAD"],
  ["paths", "/reviews*"],
];

interface Properties {
  wizard: Wizard;
  answers: Answers;
  shares: Record<string, number>;
  change: (changed: Partial<Answers>) => void;
}

export function WizardForm({ wizard, answers, shares, change }: Properties) {
  const t = useText();
  return (
    <>
      {wizard === "shift" && <Shares answers={answers} shares={shares} change={change} />}
      {wizard === "header" && <Header answers={answers} change={change} />}
      {wizard === "mtls" && <Choice label={t("wizardField.mode")} value={answers.mode} offered={MODES} choose={(mode) => change({ mode })} />}
      {wizard === "access" && <Access answers={answers} change={change} />}
      {FIELDS[wizard].map(([name, most]) => (
        <label key={name} className="field">
          <span>{t(`wizardField.${name}`)}</span>
          <input type="number" min={0} max={most} step="any" value={answers[name]} onChange={(event) => change({ [name]: Math.min(most, Math.max(0, Number(event.target.value))) })} />
        </label>
      ))}
    </>
  );
}

function Shares({ answers, shares, change }: Pick<Properties, "answers" | "shares" | "change">) {
  return answers.versions.map((version) => (
    <label key={version} className="slider">
      <span>{version}</span>
      <input
        type="range"
        min={0}
        max={100}
        value={answers.weights[version] ?? 0}
        onChange={(event) => change({ weights: { ...answers.weights, [version]: Number(event.target.value) } })}
      />
      <output>{shares[version]}%</output>
    </label>
  ));
}

function Header({ answers, change }: Pick<Properties, "answers" | "change">) {
  const t = useText();
  return (
    <>
      <label className="field">
        <span>{t("headerName")}</span>
        <input value={answers.headerName} onChange={(event) => change({ headerName: event.target.value })} />
      </label>
      <label className="field">
        <span>{t("headerValue")}</span>
        <input value={answers.headerValue} onChange={(event) => change({ headerValue: event.target.value })} />
      </label>
      <Choice label={t("version")} value={answers.headerVersion} offered={answers.versions} choose={(headerVersion) => change({ headerVersion })} />
    </>
  );
}

function Access({ answers, change }: Pick<Properties, "answers" | "change">) {
  const t = useText();
  return (
    <>
      <Choice label={t("wizardField.action")} value={answers.action} offered={ACTIONS} choose={(action) => change({ action })} />
      {LISTS.map(([name, example]) => (
        <label key={name} className="field">
          <span>{t(`wizardField.${name}`)}</span>
          <input value={answers[name]} placeholder={example} onChange={(event) => change({ [name]: event.target.value })} />
        </label>
      ))}
      <p className="soft">
        {t("wizardList")} {answers.action === "ALLOW" && t("wizardAllowHint")}
      </p>
    </>
  );
}

function Choice({ label, value, offered, choose }: { label: string; value: string; offered: readonly string[]; choose: (value: string) => void }) {
  return (
    <label className="choice">
      <span>{label}</span>
      <select value={value} onChange={(event) => choose(event.target.value)}>
        {offered.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}
