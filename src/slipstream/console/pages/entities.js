// The entities of the graph, by type, page by page.
import { html, useEffect, useState } from "../vendor/preact.js";
import { get } from "../lib/api.js";
import { count } from "../lib/format.js";
import { usePages, useResource } from "../lib/resource.js";
import { amend, go } from "../lib/route.js";
import { learnTypes, TypeName } from "../lib/types.js";
import { Asked, Card, KeyLink, MorePages, Page, Table } from "../lib/ui.js";

const PAGE = 50;
const SHOWN = 3;

export function Entities({ params }) {
  const type = params.type ?? "";
  const [id, setId] = useState("");
  const counts = useResource((signal) => get("v1/status", { counts: true }, { signal }), []);
  const list = usePages((after, signal) => get("v1/entities", { type, after, limit: PAGE }, { signal }), [type]);
  const byType = counts.data?.entities_by_type ?? {};
  useEffect(() => learnTypes(Object.keys(byType)), [counts.data]);
  const open = (event) => {
    event.preventDefault();
    if (id) go("entity", { id });
  };
  const names = [...new Set([...Object.keys(byType), type])].filter(Boolean);
  return html`<${Page} title="Entities" lead="Everything that the graph holds, by type.">
    <${Card}>
      <div class="form-row">
        <label class="grow"><span>Type</span><select value=${type} onChange=${(e) => amend("entities", { type: e.target.value })}><option value="">all types</option>${names.map((name) => html`<option value=${name} key=${name}>${name}${byType[name] === undefined ? "" : ` (${count(byType[name])})`}</option>`)}</select></label>
        <form class="form-row grow" onSubmit=${open}><label class="grow"><span>Id</span><input value=${id} onInput=${(e) => setId(e.target.value)} autocomplete="off" spellcheck=${false} dir="auto" /></label><button disabled=${!id}>Open</button></form>
      </div>
    <//>
    <${Card}>
      <${Asked} from=${{ ...list, data: list.items }} rows=${8}>${(items) => html`<${Rows} items=${items} type=${type} /><${MorePages} list=${list} />`}<//>
    <//>
  <//>`;
}

function Rows({ items, type }) {
  const columns = [
    { name: "Name", cell: (each) => html`<${KeyLink} id=${`e:${each.id}`} name=${each.name || each.id} />` },
    { name: "Id", cell: (each) => html`<bdi class="quiet">${each.id}</bdi>` },
    { name: "Type", cell: (each) => html`<${TypeName} type=${each.type} />` },
    { name: "Properties", kind: "long", cell: (each) => html`<span class="quiet clip" dir="auto">${told(each.properties)}</span>` },
  ];
  return html`<${Table} caption="Entities" columns=${columns} rows=${items} rowKey=${(each) => each.id} empty=${type ? `There are no entities of this type` : "The graph has no entities yet"} />`;
}

function told(properties) {
  const shown = Object.entries(properties ?? {}).filter(([name]) => name !== "name").slice(0, SHOWN);
  return shown.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ").slice(0, 240);
}
