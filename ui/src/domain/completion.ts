/** Which fields or values a schema offers at a place of a YAML text, told from indentation alone: the text is half written. */

export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  enum?: string[];
}

export interface Completion {
  label: string;
  apply: string;
  type: "property" | "enum";
  info: string;
}

const LINE = /^(\s*(?:- +)*)([\w./-]+):(.*)$/;

export function completionsAt(schema: Schema, lines: readonly string[], row: number, column: number): Completion[] {
  const before = (lines[row] ?? "").slice(0, column);
  const value = LINE.exec(before);
  if (value !== null) {
    const field = find(schema, [...pathTo(lines, row, (value[1] ?? "").length), value[2] ?? ""]);
    const texts = field?.enum ?? (field?.type === "boolean" ? ["true", "false"] : []);
    return texts.map((text) => ({ label: text, apply: text, type: "enum", info: "" }));
  }
  if (!/^\s*(- +)*$/.test(before)) return [];
  const parent = find(schema, pathTo(lines, row, before.length));
  const present = siblings(lines, row, before.length);
  return Object.entries(parent?.properties ?? {})
    .filter(([name]) => !present.has(name))
    .map(([name, field]) => ({ label: name, apply: `${name}: `, type: "property", info: field.description ?? "" }));
}

/** The fields above this place, the outermost first. A dash counts as indentation, so that `- a:` holds `a` two further in. */
function pathTo(lines: readonly string[], row: number, indent: number): string[] {
  const path: string[] = [];
  let limit = indent;
  let dashed = /- *$/.test((lines[row] ?? "").slice(0, indent));
  for (let index = row - 1; index >= 0 && limit > 0; index -= 1) {
    const match = LINE.exec(lines[index] ?? "");
    if (match === null) continue;
    const depth = (match[1] ?? "").length;
    const list = dashed && depth === limit - 2;
    if (depth < limit && (depth <= limit - 2 || list) && (match[3] ?? "").trim() === "") {
      path.unshift(match[2] ?? "");
      limit = depth;
      dashed = (match[1] ?? "").includes("-");
    } else if (depth === limit && (match[1] ?? "").includes("-") && !dashed) {
      dashed = true;
    }
  }
  return path;
}

function siblings(lines: readonly string[], row: number, indent: number): Set<string> {
  const found = new Set<string>();
  for (const step of [-1, 1]) {
    if (step === -1 && /-/.test((lines[row] ?? "").slice(0, indent))) continue;
    for (let index = row + step; index >= 0 && index < lines.length; index += step) {
      const match = LINE.exec(lines[index] ?? "");
      if (match === null) continue;
      const depth = (match[1] ?? "").length;
      if (depth < indent) break;
      if (depth === indent) {
        if (step === 1 && (match[1] ?? "").includes("-")) break;
        found.add(match[2] ?? "");
        if (step === -1 && (match[1] ?? "").includes("-")) break;
      }
    }
  }
  return found;
}

function find(schema: Schema, path: readonly string[]): Schema | undefined {
  let place: Schema | undefined = schema;
  for (const name of path) {
    if (place?.type === "array") place = place.items;
    place = place?.properties?.[name];
  }
  return place?.type === "array" ? (place.items?.properties === undefined ? place.items : place.items) : place;
}
