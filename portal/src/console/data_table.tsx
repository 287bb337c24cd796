// Rows under columns; where they would not fit, each row becomes a card that names its columns itself.
// The roles are written out, since a browser takes them from a table that is not laid out as one.
import type { ComponentChildren } from "preact";

export interface Column {
  title: string;
  kind?: "number" | "nowrap" | "name" | "detail";
}
export interface Row {
  key: string;
  cells: ComponentChildren[]; // the first one names the row
}

export function DataTable(props: { label?: string; labelledBy?: string; columns: Column[]; rows: Row[] }) {
  const { columns } = props;
  return (
    <div class="table stacks" tabIndex={0} role="region" aria-label={props.label} aria-labelledby={props.labelledBy}>
      <table role="table">
        <thead role="rowgroup">
          <tr role="row">
            {columns.map(({ title, kind }) => (
              <th key={title} role="columnheader" scope="col" class={kind === "number" ? "number" : ""}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {props.rows.map(({ key, cells }) => (
            <tr key={key} role="row">
              {columns.map(({ title, kind }, i) =>
                i === 0 ? (
                  <th key={title} role="rowheader" scope="row" class={kind ?? ""}>
                    {cells[i]}
                  </th>
                ) : (
                  <td key={title} role="cell" class={kind ?? ""} data-column={title}>
                    <div>{cells[i]}</div>
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
