// One entity, or one relationship: what it holds, what stands around it, its vectors, and its life.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { Graph } from "../drawings/graph.js";
import { get, post } from "../lib/api.js";
import { plural } from "../lib/format.js";
import { useResource, usePages } from "../lib/resource.js";
import { to } from "../lib/route.js";
import { learnTypes, TypeName } from "../lib/types.js";
import { Asked, Badge, Card, KeyLink, MorePages, Page, Pairs, Table } from "../lib/ui.js";
import { CopyId, Generations, Life, Reasons, Text, useWhy, Verdict } from "../lib/why.js";

const DRAWN = 28;
const LISTED = 25;

const path = (id) => id.split("/").map(encodeURIComponent).join("/");

// A path can not carry every id: "..", an empty part, and the like go by the call that takes ids as data.
export async function entityOf(id, signal) {
  const found = await post("v1/entities/get", { ids: [id] }, { signal });
  return found.items[0] ?? null;
}

export function Entity({ params }) {
  const id = params.id ?? "";
  const found = useResource((signal) => entityOf(id, signal), [id]);
  const why = useWhy(`e:${id}`, { vectors: true });
  const entity = found.data;
  const name = entity?.name || nameOf(entity) || id;
  useEffect(() => entity && learnTypes([entity.type]), [entity]);
  const lead = html`<span class="id-line">${entity && html`<${TypeName} type=${entity.type} />`}<bdi class="mono">${id}</bdi>${why.data && html`<${Verdict} of=${why.data.verdict} />`}</span>`;
  return html`<${Page} title=${name} lead=${lead} actions=${html`<${CopyId} id=${id} />`}>
    <div class="wide-left">
      <div class="stack">
        <${Around} id=${id} name=${name} type=${entity?.type ?? ""} />
        <${Card} title="Text"><${Asked} from=${why} rows=${3} what="It can not be explained">${(data) => html`<${Text} why=${data} />`}<//><//>
        <${Card} title="Vectors"><${Asked} from=${why} rows=${2}>${(data) => html`<${Generations} why=${data} />`}<//><//>
      </div>
      <div class="stack">
        <${Card} title="Properties"><${Asked} from=${found} rows=${4}>${(data) => (data ? html`<${Pairs} of=${data.properties} empty="It has no properties" />` : html`<p class="quiet">It is not in the graph.</p>`)}<//><//>
        <${Card} title="Why it stands so"><${Asked} from=${why} rows=${2}>${(data) => html`<div class="reasons"><${Reasons} why=${data} /></div>`}<//><//>
        <${Card} title="Its life" aside="newest first"><${Asked} from=${why} rows=${4}>${(data) => html`<${Life} why=${data} />`}<//><//>
      </div>
    </div>
  <//>`;
}

function nameOf(entity) {
  const { name, title, label } = entity?.properties ?? {};
  return [name, title, label].find((each) => typeof each === "string" && each) ?? "";
}

function Around({ id, name, type }) {
  const [listed, setListed] = useState(false);
  const list = usePages((after, signal) => get("v1/neighbours", { id, after, limit: listed ? LISTED : DRAWN }, { signal }), [id]);
  const rows = list.items ?? [];
  // While the next ones are asked for, the drawing stays: it is walked on in, not made anew.
  const drawn = useRef(null);
  if (list.items) drawn.current = { centre: { id, name, type }, rows };
  else if (list.error) drawn.current = null;
  useEffect(() => learnTypes(rows.map((row) => row.entity_type)), [list.items]);
  const columns = [
    { name: "Neighbour", part: 42, cell: (row) => html`<span class="clip"><${KeyLink} id=${`e:${row.entity_id}`} name=${row.name || row.entity_id} /></span>` },
    { name: "Type", part: 24, cell: (row) => html`<${TypeName} type=${row.entity_type} />` },
    { name: "Relationship", cell: (row) => html`<a href=${to("relationship", { id: row.relationship_id })}>${row.direction === "in" ? "←" : "→"} <bdi>${row.relationship_type}</bdi></a>` },
  ];
  const aside = html`<span>${list.items && `${plural(rows.length, "relationship")}${list.next ? " shown, there are more" : ""}`}</span>
    <div class="chips" role="group" aria-label="Show as"><button type="button" class="small" aria-pressed=${!listed} onClick=${() => setListed(false)}>Drawing</button><button type="button" class="small" aria-pressed=${listed} onClick=${() => setListed(true)}>List</button></div>`;
  return html`<${Card} title="Neighbours" aside=${aside}>
    <${Asked} from=${{ ...list, data: list.items ?? drawn.current?.rows }} rows=${8}>${() =>
      listed
        ? html`<${Table} caption="Neighbours" columns=${columns} rows=${rows} rowKey=${(row) => row.relationship_id} empty="Nothing leads to it or away from it" />`
        : html`<${Graph} centre=${drawn.current.centre} rows=${drawn.current.rows.slice(0, DRAWN * 3)} />`}<//>
    <${MorePages} list=${list} />
  <//>`;
}

export function Relationship({ params }) {
  const id = params.id ?? "";
  const found = useResource((signal) => get(`v1/relationships/${path(id)}`, {}, { signal }), [id]);
  const why = useWhy(`r:${id}`, { vectors: true });
  const it = found.data;
  const ends = { source: it?.source_id ?? it?.ref?.source_id, target: it?.target_id ?? it?.ref?.target_id };
  const lead = html`<span class="id-line"><bdi class="mono">${id}</bdi>${why.data && html`<${Verdict} of=${why.data.verdict} />`}</span>`;
  return html`<${Page} title=${it?.type ?? "Relationship"} lead=${lead} actions=${html`<${CopyId} id=${id} />`}>
    <div class="wide-left">
      <div class="stack">
        <${Card} title="From and to"><${Asked} from=${found} rows=${2}>${() => html`<p class="id-line"><${KeyLink} id=${`e:${ends.source}`} name=${ends.source} /> <${Badge}>${it.type}<//> → <${KeyLink} id=${`e:${ends.target}`} name=${ends.target} /></p>`}<//><//>
        <${Card} title="Text"><${Asked} from=${why} rows=${3}>${(data) => html`<${Text} why=${data} />`}<//><//>
        <${Card} title="Vectors"><${Asked} from=${why} rows=${2}>${(data) => html`<${Generations} why=${data} />`}<//><//>
      </div>
      <div class="stack">
        <${Card} title="Properties"><${Asked} from=${found} rows=${3}>${(data) => html`<${Pairs} of=${data.properties} empty="It has no properties" />`}<//><//>
        <${Card} title="Its life" aside="newest first"><${Asked} from=${why} rows=${4}>${(data) => html`<${Life} why=${data} />`}<//><//>
      </div>
    </div>
  <//>`;
}
