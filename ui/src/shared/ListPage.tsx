/** A page with a filtered table: the frame of the list pages. */
import { useEffect, useState, type ReactNode } from "react";
import { useText } from "../app/language";
import { Icon } from "./icons";
import { DataState, type Said } from "./states";

interface Properties<Item> {
  title: string;
  items: readonly Item[] | undefined;
  /** What the list was asked by: its failure, its age, and what it says is missing. */
  query: { data: { items: unknown; warnings?: readonly Said[] } | undefined; error: Error | null; dataUpdatedAt: number };
  notice?: ReactNode;
  columns: readonly string[];
  searchText: (item: Item) => string;
  row: (item: Item) => ReactNode;
  side?: ReactNode;
  tools?: ReactNode;
}

export function ListPage<Item>({ title, items, query, notice, columns, searchText, row, side, tools }: Properties<Item>) {
  const t = useText();
  const [filter, setFilter] = useState("");
  useEffect(() => {
    document.title = `${title} · Kaiki`;
  }, [title]);
  const shown = items?.filter((item) => searchText(item).toLowerCase().includes(filter.trim().toLowerCase()));
  return (
    <div className="list-page">
      <header className="list-head">
        <h1>
          {title} {items !== undefined && <span className="pill">{items.length}</span>}
        </h1>
        <label className="find">
          <Icon name="search" size={16} />
          <span className="hidden">{t("filter")}</span>
          <input type="search" value={filter} placeholder={t("filter")} onChange={(event) => setFilter(event.target.value)} />
        </label>
        {tools}
      </header>
      <DataState data={query.data} error={query.error} updatedAt={query.dataUpdatedAt} />
      {notice}
      <div className="list-body">
        <div className="table-scroll" tabIndex={0} role="region" aria-label={title}>
          {shown !== undefined && shown.length === 0 && <p className="page-note">{t("nothingHere")}</p>}
          {shown !== undefined && shown.length > 0 && (
            <table>
              <thead>
                <tr>
                  {columns.map((column) => (
                    <th key={column} scope="col">
                      {column}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>{shown.map(row)}</tbody>
            </table>
          )}
        </div>
        {side}
      </div>
    </div>
  );
}
