// Audits: the list, one of them with its findings, and a repair: seen first, then confirmed.
import { html, useEffect, useState } from "../vendor/preact.js";
import { get, post } from "../lib/api.js";
import { count, plural, seconds, share, words } from "../lib/format.js";
import { followed } from "../lib/requests.js";
import { useAction, usePages, useResource } from "../lib/resource.js";
import { amend, to } from "../lib/route.js";
import { learnTypes, TypeName } from "../lib/types.js";
import { Asked, Badge, Card, Confirm, Empty, Fact, KeyLink, Loading, Meter, MorePages, Page, Said, Table, Time, Trouble } from "../lib/ui.js";

const PAGE = 25;
const FINDINGS = 50;
const WAIT_S = 1;
const UNJUDGED = new Set(["", "owed", "unsettled", "word_owed", "word_unsettled"]);
const TONES = { consistent: "good", divergent: "bad", undecided: "warn" };

const sum = (counts) => Object.values(counts ?? {}).reduce((all, n) => all + n, 0);

export function Audits() {
  const list = usePages((before, signal) => get("v1/audits", { before, limit: PAGE }, { signal }), []);
  const [options, setOptions] = useState({ incremental: false, deep: false });
  const [progress, setProgress] = useState(null);
  const audit = useAction(async () => {
    setProgress(null);
    const { incremental, deep } = options;
    const wanted = { incremental, deep: deep && !incremental ? "all" : null, wait_s: WAIT_S };
    const report = await followed(await post("v1/audits", wanted), (now) => setProgress(now.progress));
    list.reload();
    return report ?? {};
  });
  const set = (name) => (event) => setOptions({ ...options, [name]: event.target.checked });
  return html`<${Page} title="Audits" lead="An audit compares the records of the index with what the graph asks for, and changes nothing.">
    <${Card} title="Audit now">
      <div class="form-row">
        <button type="button" class="primary" disabled=${audit.busy} onClick=${audit.run}>${audit.busy ? "Auditing…" : "Start an audit"}</button>
        <label class="check"><input type="checkbox" checked=${options.incremental} onChange=${set("incremental")} /><span>only what has changed</span></label>
        <label class="check"><input type="checkbox" checked=${options.deep && !options.incremental} disabled=${options.incremental} onChange=${set("deep")} /><span>every vector too</span></label>
      </div>
      <${Said}>${audit.busy ? `Auditing${shownProgress(progress)}` : audit.result ? `The audit is done: ${audit.result.verdict ?? "see the newest one below"}.` : ""}<//>
      <${Trouble} error=${audit.error} what="The audit failed" />
    <//>
    <${Card} title="Kept audits">
      <${Asked} from=${{ ...list, data: list.items }} rows=${6}>${(items) => html`<${List} items=${items} /><${MorePages} list=${list} />`}<//>
    <//>
  <//>`;
}

// Of each callback a request tells how often it was called, and with what the last time.
function shownProgress(progress) {
  const last = Object.values(progress ?? {}).flat(2).filter((each) => typeof each === "number");
  return last.length > 1 && last.at(-1) ? `: ${count(last.at(-1))} so far` : " …";
}

function List({ items }) {
  const columns = [
    { name: "Audit", cell: (a) => html`<a href=${to("audit", { id: a.id })}>${a.id}</a>` },
    { name: "Verdict", cell: (a) => html`<${Badge} tone=${TONES[a.verdict]}>${a.verdict}<//>` },
    { name: "Kind", cell: (a) => a.kind },
    { name: "Finished", kind: "fixed", cell: (a) => html`<${Time} at=${a.finished_at} />` },
    { name: "Took", kind: "num fixed", cell: (a) => seconds(a.duration_s) },
    { name: "Consistency", kind: "num fixed", cell: (a) => share(a.consistency, 2) },
    { name: "Divergent", kind: "num", cell: (a) => html`<span class=${sum(a.counts) ? "bad" : ""}>${count(sum(a.counts))}</span>` },
    { name: "Owed", kind: "num", cell: (a) => count(sum(a.owed)) },
  ];
  return html`<${Table} caption="Kept audits" columns=${columns} rows=${items} rowKey=${(a) => a.id} empty="No audit is kept yet" />`;
}

// ------------------------------------------------------------------ one of them

export function Audit({ params }) {
  const { id, kind = "" } = params;
  const found = useResource((signal) => get(`v1/audits/${encodeURIComponent(id)}`, {}, { signal }), [id]);
  const [repairing, setRepairing] = useState(false);
  const [done, setDone] = useState("");
  const audit = found.data;
  const divergent = sum(audit?.counts);
  const actions = html`<button type="button" class="primary" disabled=${!divergent} onClick=${() => setRepairing(true)}>Preview a repair</button>`;
  return html`<${Page} title=${`Audit ${id}`} lead=${html`<a href=${to("audits")}>All audits</a>`} actions=${actions}>
    <${Said}>${done}<//>
    <${Asked} from=${found} rows=${6} what="This audit could not be read">${(data) => html`<${Summary} audit=${data} />
      <${Findings} id=${id} kind=${kind} audit=${data} />`}<//>
    ${repairing && html`<${Repair} id=${id} kinds=${UNJUDGED.has(kind) ? undefined : [kind]} onClose=${() => setRepairing(false)} onDone=${(told) => {
      setRepairing(false);
      setDone(told);
    }} />`}
  <//>`;
}

function Summary({ audit }) {
  const rows = Object.entries(audit.coverage ?? {}).map(([type, row]) => ({ type, ...row }));
  useEffect(() => learnTypes(rows.map((row) => row.type)), [audit]);
  const columns = [
    { name: "Type", cell: (row) => html`<${TypeName} type=${row.type} />` },
    { name: "Expected", kind: "num", cell: (row) => count(row.expected) },
    { name: "Found", kind: "num", cell: (row) => count(row.found) },
    { name: "Fresh", kind: "num", cell: (row) => count(row.fresh) },
    { name: "Freshness", kind: "num", cell: (row) => (row.expected ? html`<span class="meter-cell"><${Meter} value=${row.fresh / row.expected} tone=${row.fresh === row.expected ? "good" : "bad"} /><span>${share(row.fresh / row.expected)}</span></span>` : "–") },
  ];
  return html`<${Card}>
      <dl class="facts">
        <${Fact} name="Verdict" value=${audit.verdict} tone=${TONES[audit.verdict]} />
        <${Fact} name="Consistency" value=${share(audit.consistency, 2)} />
        <${Fact} name="Divergent" value=${count(sum(audit.counts))} />
        <${Fact} name="Owed" value=${count(sum(audit.owed))} title="Differ, and the engine is still to bring them up to date" />
        ${audit.words && html`<${Fact} name="Word rows" value=${count(audit.words.fresh)} unit=${`of ${count(audit.words.expected)}`} title=${audit.words.looked === "all" ? "Every row was read" : "What has changed, or was wrong before, was read"} />`}
        <${Fact} name="Took" value=${seconds(audit.duration_s)} unit=${audit.kind} />
        <${Fact} name="At position" value=${count(audit.position)} />
      </dl>
      ${audit.damage?.length > 0 && html`<ul class="trouble bad">${audit.damage.map((each) => html`<li class="breaks" key=${each.told ?? JSON.stringify(each)}>${each.told ?? JSON.stringify(each)}</li>`)}</ul>`}
      ${audit.notes?.map((note) => html`<p class="quiet breaks" key=${note}>${note}</p>`)}
    <//>
    <${Card} title="By type"><${Table} caption="Coverage by type" columns=${columns} rows=${rows} rowKey=${(row) => row.type} empty="The graph asks for no records" /><//>`;
}

function Findings({ id, kind, audit }) {
  const list = usePages((after, signal) => get(`v1/audits/${encodeURIComponent(id)}/findings`, { kind, after, limit: FINDINGS }, { signal }), [id, kind]);
  const rows = audit.words ?? { owed: 0, unsettled: 0 };
  const open = { owed: sum(audit.owed) - rows.owed, unsettled: (audit.unsettled ?? 0) - rows.unsettled, word_owed: rows.owed, word_unsettled: rows.unsettled };
  const kinds = Object.entries({ ...audit.counts, ...open }).filter(([, n]) => n > 0);
  const columns = [
    { name: "Key", part: 50, cell: (f) => html`<span class="clip"><${KeyLink} id=${f.key} /></span>` },
    { name: "Finding", cell: (f) => html`<${Badge} tone=${UNJUDGED.has(f.kind) ? "plain" : "bad"}>${words(f.kind)}<//>` },
    { name: "Type", cell: (f) => html`<${TypeName} type=${f.type} />` },
  ];
  const chip = (name, told) => html`<button type="button" class="small" aria-pressed=${kind === name} onClick=${() => amend("audit", { id, kind: name })} key=${name}>${told}</button>`;
  return html`<${Card} title="Findings" aside=${kinds.length > 1 && html`<div class="chips" role="group" aria-label="Kind of finding">${chip("", "all")}${kinds.map(([name, n]) => chip(name, `${words(name)} ${count(n)}`))}</div>`}>
    <${Asked} from=${{ ...list, data: list.items }} rows=${5}>${(items) =>
      items.length ? html`<${Table} caption="Findings" columns=${columns} rows=${items} rowKey=${(f) => `${f.kind}${f.key}`} /><${MorePages} list=${list} />` : html`<${Empty} title="Nothing was found">Every key that was judged is as it should be.<//>`}<//>
  <//>`;
}

// ------------------------------------------------------------------ repair

function Repair({ id, kinds, onClose, onDone }) {
  const [seen, setSeen] = useState(false);
  const plan = useResource((signal) => post("v1/repairs/plan", { audit_id: Number(id), ...(kinds ? { kinds } : {}) }, { signal }), [id]);
  const repair = useAction(async () => {
    const { precondition, braked } = plan.data;
    const confirmed = braked ? { confirm: braked.id } : { precondition };
    const result = await followed(await post("v1/repairs", { audit_id: Number(id), ...(kinds ? { kinds } : {}), ...confirmed }));
    onDone(`The repair is done: ${plural(sum(result.marked ?? plan.data.keys), "key")} marked; the engine makes them equal, behind all live work. Audit again to see it.`);
  });
  const ready = plan.data && (!plan.data.braked || seen) && sum(plan.data.keys) > 0;
  return html`<${Confirm} title=${`Repair what audit ${id} found`} verb="Repair" danger=${Boolean(plan.data?.braked)} disabled=${!ready} busy=${repair.busy} error=${repair.error} onConfirm=${repair.run} onClose=${onClose}>
    ${plan.error ? html`<${Trouble} error=${plan.error} retry=${plan.reload} what="There is no plan" />` : !plan.data ? html`<${Loading} rows=${4} label="Planning" />` : html`<${Plan} plan=${plan.data} />`}
    ${repair.error?.status === 409 && html`<p><button type="button" onClick=${() => { repair.clear(); plan.reload(); }}>Plan anew</button></p>`}
    ${plan.data?.braked && html`<label class="check"><input type="checkbox" checked=${seen} onChange=${(e) => setSeen(e.target.checked)} /><span>I have looked at what would be deleted or embedded anew.</span></label>`}
  <//>`;
}

function Plan({ plan }) {
  const kinds = Object.entries(plan.keys ?? {}).filter(([, n]) => n > 0);
  if (!kinds.length) return html`<p>There is nothing to repair.</p>`;
  return html`<p>Nothing has been changed yet. This is what would be done:</p>
    <dl class="facts">
      <${Fact} name="Keys" value=${count(sum(plan.keys))} /><${Fact} name="Texts to embed" value=${count(plan.texts)} unit=${`at most, ${seconds(plan.embed_s)}`} />
      <${Fact} name="Deletions" value=${count(plan.deletions)} tone=${plan.deletions ? "warn" : ""} /><${Fact} name="Only stamps" value=${count(plan.restamps)} />
    </dl>
    <dl class="pairs">${kinds.map(([kind, n]) => html`<div key=${kind}><dt>${words(kind)}</dt><dd class="right">${count(n)}</dd></div>`)}</dl>
    ${plan.braked && html`<div class="trouble warn"><p class="trouble-title">The brake is on</p><p class="breaks">${plan.braked.said ?? plan.braked.why ?? "This is more than may be deleted or embedded anew unasked."} If the graph is the side that is damaged, do not go on.</p></div>`}`;
}
