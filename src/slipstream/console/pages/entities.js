// The entities of the graph, by type, page by page.
import { html, useState } from "../vendor/preact.js";
import { get } from "../lib/api.js";
import { usePages } from "../lib/resource.js";
import { amend, go } from "../lib/route.js";
import { TypeChoice, TypeName } from "../lib/types.js";
import { Asked, Card, KeyLink, MorePages, Page, Table } from "../lib/ui.js";

const PAGE = 50;
const SHOWN = 3;

export function Entities({ params }) {
  const type = params.type ?? "";
  const [id, setId] = useState("");
  const list = usePages((after, signal) => get("v1/entities", { type, after, limit: PAGE }, { signal }), [type]);
  const open = (event) => {
    event.preventDefault();
    if (id) go("entity", { id });
  };
  return html`<${Page} title="Entities" lead="Everything that the graph holds, by type.">
    <${Card}>
      <div class="form-row">
        <label class="grow"><span>Type</span><${TypeChoice} value=${type} onChoose=${(name) => amend("entities", { type: name })} /></label>
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
    { name: "Name", part: 26, cell: (each) => html`<span class="clip"><${KeyLink} id=${`e:${each.id}`} name=${each.name || each.id} /></span>` },
    { name: "Id", part: 22, cell: (each) => html`<bdi class="quiet clip">${each.id}</bdi>` },
    { name: "Type", part: 16, cell: (each) => html`<${TypeName} type=${each.type} />` },
    { name: "Properties", kind: "long", cell: (each) => html`<span class="quiet clip" dir="auto">${told(each.properties)}</span>` },
  ];
  return html`<${Table} caption="Entities" columns=${columns} rows=${items} rowKey=${(each) => each.id} empty=${type ? `There are no entities of this type` : "The graph has no entities yet"} />`;
}

function told(properties) {
  const shown = Object.entries(properties ?? {}).filter(([name]) => name !== "name").slice(0, SHOWN);
  return shown.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ").slice(0, 240);
}
