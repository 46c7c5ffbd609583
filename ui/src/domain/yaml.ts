/** JSON values as YAML, for reading. Only what Kubernetes objects hold: maps, lists, texts, numbers, booleans, null. */

export function writeYaml(value: unknown): string {
  return lines(value, 0).join("\n");
}

function lines(value: unknown, depth: number): string[] {
  const indent = "  ".repeat(depth);
  if (Array.isArray(value) && value.length > 0) {
    return value.flatMap((item: unknown) => {
      const [first = "", ...rest] = lines(item, depth + 1);
      return [`${indent}- ${first.trimStart()}`, ...rest];
    });
  }
  if (isMap(value) && Object.keys(value).length > 0) {
    return Object.entries(value).flatMap(([key, item]) => {
      const nested = (Array.isArray(item) && item.length > 0) || (isMap(item) && Object.keys(item).length > 0);
      if (nested) return [`${indent}${scalar(key)}:`, ...lines(item, Array.isArray(item) ? depth : depth + 1)];
      return [`${indent}${scalar(key)}: ${lines(item, 0).join("")}`];
    });
  }
  return [indent + scalar(value)];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function scalar(value: unknown): string {
  if (Array.isArray(value)) return "[]";
  if (isMap(value)) return "{}";
  if (typeof value !== "string") return String(value);
  const plain = /^[A-Za-z/_.][\w./ -]*$/.test(value) && value.trim() === value;
  return plain && !/^(true|false|null|yes|no|on|off)$/i.test(value) ? value : JSON.stringify(value);
}
