import { useQuery } from "@tanstack/react-query";
import { fetchNamespaces, type GraphType, type TrafficGraph } from "../../api/client";
import { untilAnswered } from "../../api/queries";
import { useText, type Translate } from "../../app/language";
import { EDGE_LABELS, GRAPH_TYPES, type GraphAddress } from "../../domain/address";
import { FIND_FIELDS, type FindError } from "../../domain/find";
import { stepFrom } from "../../domain/zoom";
import { Icon } from "../../shared/icons";
import { Menu } from "../../shared/Menu";
import { usePolling } from "../../shared/useEvents";
import { TimeMenu } from "./TimeMenu";

interface Properties {
  address: GraphAddress;
  change: (change: Partial<GraphAddress>) => void;
  graph: TrafficGraph | undefined;
  found: number | null;
  problem: FindError | null;
  failing: boolean;
  motion: boolean;
  setMotion: (motion: boolean) => void;
}

export function Toolbar({ address, change, graph, found, problem, failing, motion, setMotion }: Properties) {
  const t = useText();
  return (
    <div className="toolbar">
      <NamespaceMenu address={address} change={change} />
      <Zoom address={address} change={change} />
      <Choice label={t("edgeLabel")} value={address.label} options={EDGE_LABELS.map((label) => [label, t(`label.${label}`)])} onChange={(label) => change({ label })} />
      <Menu label={t("options")}>
        <Check label={t("showServices")} checked={address.services} onChange={(services) => change({ services })} />
        <Check label={t("showIdle")} checked={address.idle} onChange={(idle) => change({ idle })} />
        <Check label={t("showMotion")} checked={motion} onChange={setMotion} />
        <hr />
        <label className="hide-field">
          {t("hide")}
          <input type="text" value={address.hide} placeholder="protocol = tcp" title={t("findHelp")} list="find-examples" onChange={(event) => change({ hide: event.target.value })} />
        </label>
      </Menu>
      <label className="find">
        <Icon name="search" size={16} />
        <span className="hidden">{t("find")}</span>
        <input type="search" value={address.find} placeholder={t("findHint")} title={t("findHelp")} list="find-examples" onChange={(event) => change({ find: event.target.value })} />
        {problem !== null ? <output className="wrong">{problemText(problem, t)}</output> : found !== null && <output>{t("found", { count: found })}</output>}
      </label>
      <datalist id="find-examples">
        {EXAMPLES.map((example) => (
          <option key={example} value={example} />
        ))}
      </datalist>
      <span className="spacer" />
      <div className="segments" role="group" aria-label={t("view")}>
        {(["graph", "table"] as const).map((view) => (
          <button key={view} type="button" aria-pressed={address.view === view} onClick={() => change({ view })}>
            <Icon name={view} size={16} />
            <span>{t(`view.${view}`)}</span>
          </button>
        ))}
      </div>
      <TimeMenu address={address} change={change} />
      <Live address={address} change={change} graph={graph} failing={failing} />
    </div>
  );
}

const EXAMPLES = ["errors > 1%", "rate > 5 and p95 > 200ms", "namespace = default", "health != healthy", "not mtls = 100", "protocol = tcp", "badge ~ virtual", "flag = UH"];

function problemText(problem: FindError, t: Translate): string {
  return t(`find.${problem.reason}`, { word: problem.word, fields: FIND_FIELDS.join(", ") });
}

/** The cluster, its namespaces, their apps, workloads and pods: one step nearer or farther, or any of them. */
function Zoom({ address, change }: Pick<Properties, "address" | "change">) {
  const t = useText();
  const choose = (graphType: GraphType) => change({ graphType, selection: null, focus: null });
  const step = (to: GraphType | null, name: "minus" | "plus", label: string) => (
    <button type="button" className="icon-button" disabled={to === null} onClick={() => to !== null && choose(to)} aria-label={label} title={to === null ? label : `${label}: ${t(`type.${to}`)}`}>
      <Icon name={name} size={16} />
    </button>
  );
  return (
    <div className="semantic-zoom" role="group" aria-label={t("zoom")}>
      {step(stepFrom(address.graphType, -1), "minus", t("farther"))}
      <Choice label={t("zoom")} value={address.graphType} options={GRAPH_TYPES.map((type) => [type, t(`type.${type}`)])} onChange={choose} />
      {step(stepFrom(address.graphType, 1), "plus", t("nearer"))}
    </div>
  );
}

function Live({ address, change, graph, failing }: Pick<Properties, "address" | "change" | "graph" | "failing">) {
  const t = useText();
  if (address.at !== null) return null;
  return (
    <button type="button" className={`control live${failing ? " lost" : ""}`} onClick={() => change({ at: Math.floor(graph?.timestamp ?? 0) || null })} title={t("pause")}>
      <span className="pulse" aria-hidden="true" />
      {t(failing ? "reconnecting" : "live")}
      <Icon name="pause" size={16} />
    </button>
  );
}

function NamespaceMenu({ address, change }: Pick<Properties, "address" | "change">) {
  const t = useText();
  const known = useQuery({ queryKey: ["namespaces"], queryFn: ({ signal }) => fetchNamespaces(signal), refetchInterval: usePolling(15_000) || untilAnswered });
  const names = [...new Set([...(known.data?.items.map((item) => item.name) ?? []), ...address.namespaces])].sort();
  const chosen = new Set(address.namespaces);
  const toggle = (name: string) => {
    const changed = new Set(chosen);
    if (!changed.delete(name)) changed.add(name);
    change({ namespaces: [...changed].sort() });
  };
  const [first] = address.namespaces;
  const label = first === undefined ? t("allNamespaces") : chosen.size === 1 ? first : t("namespaceCount", { count: chosen.size });
  return (
    <Menu label={<span className="menu-label"><span className="hidden">{t("namespaces")}: </span>{label}</span>}>
      <Check label={t("allNamespaces")} checked={chosen.size === 0} onChange={() => change({ namespaces: [] })} />
      <hr />
      {names.map((name) => (
        <Check key={name} label={name} checked={chosen.has(name)} onChange={() => toggle(name)} />
      ))}
    </Menu>
  );
}

function Check({ label, checked, onChange }: { label: string; checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <label className="check">
      <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
      {label}
    </label>
  );
}

interface ChoiceProperties<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
}

function Choice<Value extends string>({ label, value, options, onChange }: ChoiceProperties<Value>) {
  return (
    <label className="choice">
      <span>{label}</span>
      <select
        value={value}
        onChange={(event) => {
          const chosen = options.find(([option]) => option === event.target.value);
          if (chosen !== undefined) onChange(chosen[0]);
        }}
      >
        {options.map(([option, text]) => (
          <option key={option} value={option}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
