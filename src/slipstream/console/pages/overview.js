// How the index stands to its graph: now, over time, and by type.
import { html, useEffect, useState } from "../vendor/preact.js";
import { Chart } from "../drawings/chart.js";
import { get } from "../lib/api.js";
import { brief, count, plural, seconds, share, tick, words } from "../lib/format.js";
import { useResource } from "../lib/resource.js";
import { to } from "../lib/route.js";
import { history, standingOf, status } from "../lib/standing.js";
import { useStore } from "../lib/store.js";
import { learnTypes, TypeName } from "../lib/types.js";
import { Asked, Badge, Card, Dot, Empty, Fact, Meter, Page, Table, Time } from "../lib/ui.js";

const COUNTS_MS = 30000;
const AUDITS_MS = 15000;
const AUDITS_SHOWN = 60;

export function Overview() {
  const now = useStore(status);
  const counts = useResource((signal) => get("v1/status", { counts: true }, { signal }), [], { every_ms: COUNTS_MS });
  const audits = useResource((signal) => get("v1/audits", { limit: AUDITS_SHOWN }, { signal }), [], { every_ms: AUDITS_MS });
  useEffect(() => learnTypes(Object.keys(counts.data?.entities_by_type ?? {})), [counts.data]);
  const found = now && counts.data ? { ...counts.data, ...now, ...kept(counts.data) } : (counts.data ?? now);
  const newest = audits.data?.items?.[0];
  return html`<${Page} title="Overview" lead="How the index stands to its graph.">
    <${Now} found=${found} />
    <div class="two even">
      <${LagCard} now=${now} />
      <${ConsistencyCard} audits=${audits} />
    </div>
    <div class="wide-left">
      <div class="stack"><${Card} title="By type" aside=${newest && html`freshness from <a href=${to("audit", { id: newest.id })}>audit ${newest.id}</a>`}>
        <${Asked} from=${counts} rows=${5}>${(data) => html`<${ByType} counts=${data} newest=${newest} />`}<//>
      <//><${Parts} found=${found} /></div>
      <div class="stack">
        <${Alerts} found=${found} />
        <${Owed} found=${found} newest=${newest} />
      </div>
    </div>
  <//>`;
}

// What only the slower call with counts knows.
function kept(counts) {
  const names = ["entities", "relationships", "entities_by_type", "embeddings", "embeddings_by_type", "embeddings_by_model"];
  return Object.fromEntries(names.filter((name) => name in counts).map((name) => [name, counts[name]]));
}

function Now({ found }) {
  const { tone, word, told } = standingOf(found);
  const letters = found?.dead_letters ?? 0;
  return html`<${Card} className="now">
    <div class="now-word"><${Dot} tone=${tone} /><div><h2>${word}</h2><p class="quiet breaks">${told}</p></div></div>
    <dl class="facts">
      <${Fact} name="Lag" value=${seconds(found?.lag_s)} title="Age of the oldest commit that the index does not reflect" />
      <${Fact} name="Frontier" value=${count(found?.frontier)} unit=${found?.head !== found?.frontier && found?.head != null ? `of ${count(found.head)}` : ""} title="How far the index reflects the graph" />
      <${Fact} name="Entities" value=${brief(found?.entities)} title=${count(found?.entities)} />
      <${Fact} name="Relationships" value=${brief(found?.relationships)} title=${count(found?.relationships)} />
      <${Fact} name="Vectors" value=${brief(found?.embeddings)} title="Entities that have a vector" />
      <${Fact} name="Dead letters" value=${count(found?.dead_letters)} tone=${letters > 0 ? "bad" : ""} />
    </dl>
  <//>`;
}

function LagCard({ now }) {
  const [data, setData] = useState([[], []]);
  useEffect(() => {
    if (history.length) setData([history.map(([at]) => at), history.map(([, lag]) => lag)]);
  }, [now]);
  const told = `Lag since this page was opened, now ${seconds(now?.lag_s)}`;
  return html`<${Card} title="Lag" aside=${html`<span>now ${seconds(now?.lag_s)}</span>`}>
    ${data[0].length ? html`<${Chart} data=${data} label="lag" told=${told} shown=${tick} span_s=${120} least=${0.01} />` : html`<${Empty} title="Waiting for the first figures" />`}
  <//>`;
}

function ConsistencyCard({ audits }) {
  const items = [...(audits.data?.items ?? [])].reverse().filter((each) => each.consistency !== null && each.finished_at);
  const newest = items.at(-1);
  const data = [items.map((each) => Date.parse(each.finished_at) / 1000), items.map((each) => each.consistency * 100)];
  const lowest = Math.min(...data[1], 100);
  const floor = lowest > 99 ? 99 : lowest > 90 ? 90 : 0;
  const aside = newest && html`<b class=${newest.consistency >= 1 ? "good" : "bad"}>${share(newest.consistency, 2)}</b><${Time} at=${newest.finished_at} />`;
  return html`<${Card} title="Consistency over time" aside=${aside}>
    <${Asked} from=${audits} rows=${5}>${() =>
      items.length
        ? html`<${Chart} key=${`${items.length}:${newest.id}`} data=${data} label="consistency" told=${`Consistency found by ${plural(items.length, "audit")}, newest ${share(newest.consistency, 2)}`}
            shown=${(value) => `${Number(value.toFixed(2))} %`} floor=${floor} ceiling=${100 + (100 - floor) * 0.04} points=${true} tone="good" />`
        : html`<${Empty} title="Not audited yet">An audit compares every record of the index with the graph. <a href=${to("audits")}>Start one</a>.<//>`}<//>
  <//>`;
}

function ByType({ counts, newest }) {
  const audited = newest?.coverage ?? {};
  const entities = counts.entities_by_type ?? {};
  const vectors = counts.embeddings_by_type ?? {};
  const names = [...new Set([...Object.keys(entities), ...Object.keys(vectors)])];
  const rows = names.map((name) => ({ name, entities: entities[name], vectors: vectors[name] ?? 0, audited: audited[name] }));
  rows.sort((one, other) => (other.entities ?? 0) - (one.entities ?? 0) || one.name.localeCompare(other.name));
  const columns = [
    { name: "Type", cell: (row) => (row.entities === undefined ? html`<${TypeName} type=${row.name} />` : html`<a href=${to("entities", { type: row.name })}><${TypeName} type=${row.name} /></a>`) },
    { name: "In the graph", kind: "num fixed", cell: (row) => count(row.entities) },
    { name: "Vectors", kind: "num fixed", cell: (row) => count(row.vectors) },
    { name: "Coverage", kind: "num", cell: (row) => html`<${Part} value=${coverage(row)} />` },
    { name: "Freshness", kind: "num", cell: (row) => html`<${Part} value=${freshness(row)} />` },
  ];
  return html`<${Table} caption="Coverage and freshness by type" columns=${columns} rows=${rows} rowKey=${(row) => row.name} empty="The graph has no entities yet" />`;
}

// An audit knows what is expected; before the first one the counts of both sides have to do.
function coverage({ entities, vectors, audited }) {
  if (audited?.expected) return audited.found / audited.expected;
  return entities ? Math.min(1, vectors / entities) : null;
}

function freshness({ audited }) {
  return audited?.expected ? audited.fresh / audited.expected : null;
}

function Part({ value }) {
  if (value === null) return html`<span class="quiet">–</span>`;
  const tone = value >= 1 ? "good" : value >= 0.99 ? "accent" : value >= 0.9 ? "warn" : "bad";
  return html`<span class="meter-cell"><${Meter} value=${value} tone=${tone} /><span>${share(value)}</span></span>`;
}

function Alerts({ found }) {
  const firing = found?.firing ?? [];
  return html`<${Card} title="Alerts" aside=${html`<${Badge} tone=${firing.length ? "bad" : "good"}>${firing.length ? `${count(firing.length)} firing` : "none firing"}<//>`}>
    ${firing.length
      ? html`<ul class="stack tight">${firing.map((alert) => html`<li key=${alert.rule ?? alert}><b>${words(alert.rule ?? alert)}</b>${alert.message && html`<br /><span class="quiet breaks">${alert.message}</span>`}</li>`)}</ul>`
      : html`<p class="quiet">Nothing asks for attention.</p>`}
  <//>`;
}

function Owed({ found, newest }) {
  const lanes = Object.entries(found?.lanes ?? {}).filter(([, n]) => n > 0);
  const owed = Object.entries(newest?.owed ?? {});
  const rows = [
    ["waiting", found?.pending],
    ["retrying", found?.retrying],
    ...lanes.map(([lane, n]) => [`lane ${lane}`, n]),
    ...owed.map(([lane, n]) => [`at the last audit: ${lane}`, n]),
  ].filter(([, n]) => n > 0);
  return html`<${Card} title="Owed" aside="what the engine is still to do">
    ${rows.length ? html`<dl class="pairs">${rows.map(([name, n]) => html`<div key=${name}><dt>${name}</dt><dd class="right">${count(n)}</dd></div>`)}</dl>` : html`<p class="quiet">Nothing.</p>`}
    ${Object.entries(found?.backfills ?? {}).map(([name, each]) => html`<p class="backfill" key=${name}><span>${words(name)}</span><${Meter} value=${each.total ? each.done / each.total : 0} /><span class="quiet">${brief(each.done)} of ${brief(each.total)}</span></p>`)}
  <//>`;
}

function Parts({ found }) {
  const parts = Object.entries(found?.dead_parts ?? {});
  const unknown = Object.entries(found?.unknown ?? {});
  const rows = { scrubber: found?.scrubber, alerts: found?.watch, migration: found?.migration, schema: found?.schema_version == null ? null : `version ${found.schema_version}` };
  return html`<${Card} title="Parts">
    <dl class="facts small-facts">${Object.entries(rows).map(([name, value]) => html`<${Fact} name=${name} value=${value ?? "–"} key=${name} />`)}</dl>
    ${found?.brake && html`<p class="trouble warn breaks"><b>Braked:</b> ${typeof found.brake === "string" ? found.brake : (found.brake.why ?? JSON.stringify(found.brake))}</p>`}
    ${[...parts, ...unknown].map(([name, why]) => html`<p class="breaks" key=${name}><b>${words(name)}:</b> <span class="quiet">${why}</span></p>`)}
  <//>`;
}
