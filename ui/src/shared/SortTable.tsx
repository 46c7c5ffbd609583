/** A table whose columns sort; the order is the caller's to keep, in the page's address. */
import { useState, type ReactNode } from "react";
import { useText } from "../app/language";
import { sortBy } from "../domain/list";

export interface Column<Item> {
  key: string;
  label: string;
  cell: (item: Item) => ReactNode;
  /** What is sorted by; columns without it don't sort. */
  value?: (item: Item) => number | string | null | undefined;
  number?: boolean;
}

/** Nobody reads thousands of rows, and drawing them takes the browser seconds. */
const STEP_ROWS = 200;

interface Properties<Item> {
  label: string;
  items: readonly Item[];
  columns: readonly Column<Item>[];
  rowKey: (item: Item) => string;
  sort: string;
  onSort: (sort: string) => void;
  /** The items are a page in their order already: whoever gave them sorts. */
  ordered?: boolean;
}

export function SortTable<Item>({ label, items, columns, rowKey, sort, onSort, ordered = false }: Properties<Item>) {
  const t = useText();
  const descending = sort.startsWith("-");
  const key = descending ? sort.slice(1) : sort;
  const value = columns.find((column) => column.key === key)?.value;
  const [most, setMost] = useState(STEP_ROWS);
  const sorted = value === undefined || ordered ? items : sortBy(items, value, descending);
  const shown = ordered ? sorted : sorted.slice(0, most);
  // Numbers are looked for at their greatest, names at their beginning.
  const next = (column: Column<Item>) => (column.key === key ? (descending ? column.key : `-${column.key}`) : column.number === true ? `-${column.key}` : column.key);
  return (
    <table aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <th
              key={column.key}
              scope="col"
              className={column.number === true ? "number" : undefined}
              aria-sort={column.value === undefined ? undefined : column.key !== key ? "none" : descending ? "descending" : "ascending"}
            >
              {column.value === undefined ? (
                column.label
              ) : (
                <button type="button" className="sort" title={t("sortBy", { name: column.label })} onClick={() => onSort(next(column))}>
                  {column.label}
                  <span aria-hidden="true">{column.key !== key ? "" : descending ? "↓" : "↑"}</span>
                </button>
              )}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {shown.map((item) => (
          <tr key={rowKey(item)}>
            {columns.map((column) => (
              <td key={column.key} className={column.number === true ? "number" : undefined}>
                {column.cell(item)}
              </td>
            ))}
          </tr>
        ))}
        {shown.length < sorted.length && (
          <tr>
            <td colSpan={columns.length}>
              <button type="button" className="link" onClick={() => setMost(most + STEP_ROWS)}>
                {t("showMore", { count: Math.min(STEP_ROWS, sorted.length - most), all: sorted.length })}
              </button>
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
