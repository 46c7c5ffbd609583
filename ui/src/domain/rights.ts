/** What changes need, and how somebody who may grant rights gives them: the commands, in kubectl's words. */

export type Change = "create" | "update" | "delete";

export interface Missing {
  resource: string;
  group: string;
  namespace: string;
  changes: readonly Change[];
}

interface Allowed {
  resource: string;
  group: string;
  namespace: string;
  create: boolean;
  update: boolean;
  delete: boolean;
}

/** What is missing of the wanted changes, once for each kind and namespace. */
export function missingRights(wanted: readonly { rights: Allowed; change: Change }[]): Missing[] {
  const found = new Map<string, Missing & { changes: Change[] }>();
  for (const { rights, change } of wanted) {
    if (rights[change]) continue;
    const key = `${rights.resource}.${rights.group}/${rights.namespace}`;
    const entry = found.get(key) ?? { resource: rights.resource, group: rights.group, namespace: rights.namespace, changes: [] };
    if (!entry.changes.includes(change)) entry.changes.push(change);
    found.set(key, entry);
  }
  return [...found.values()];
}

const VERBS: Record<Change, readonly string[]> = { create: ["create"], update: ["get", "update"], delete: ["delete"] };
const ACCOUNT = "system:serviceaccount:";

export function grantCommands(user: string, { resource, group, namespace, changes }: Missing): string[] {
  const verbs = [...new Set(changes.flatMap((change) => VERBS[change]))].join(",");
  const name = `${resource}-${changes.join("-")}`;
  const kind = namespace === "" ? "clusterrole" : "role";
  const place = namespace === "" ? "" : ` -n ${namespace}`;
  const account = user.startsWith(ACCOUNT) ? user.slice(ACCOUNT.length) : null;
  const subject = account === null ? `--user=${quoted(user)}` : `--serviceaccount=${account}`;
  return [`kubectl create ${kind} ${name}${place} --verb=${verbs} --resource=${resource}.${group}`, `kubectl create ${kind}binding ${name}${place} --${kind}=${name} ${subject}`];
}

/** As one word of a shell, whatever the provider of identities put into a name. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
