// The search lab: what a question finds, how well, and why each record is as it is.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { isAbort, post } from "../lib/api.js";
import { count, decimal, plural, seconds } from "../lib/format.js";
import { amend, keyPage } from "../lib/route.js";
import { keyOf, learnTypes, TypeChoice, TypeName } from "../lib/types.js";
import { Badge, Card, Empty, KeyLink, Loading, Meter, Page, Said, Trouble } from "../lib/ui.js";
import { Why } from "../lib/why.js";

const K_MAX = 100;
const HOPS = [0, 1, 2, 3];

function asked(params) {
  return { text: params.text ?? "", type: params.type ?? "", k: Number(params.k) || 10, expand: Number(params.expand) || 0, metadata: params.metadata ?? "" };
}

function body({ text, type, k, expand, metadata }) {
  const sent = { text, k, expand };
  if (type) sent.entity_type = type;
  if (metadata) sent.metadata = pairs(metadata);
  return sent;
}

// "lang=en, year=2020": numbers and booleans are sent as such.
function pairs(text) {
  const found = {};
  for (const pair of text.split(",")) {
    const [name, value] = pair.split("=").map((each) => each.trim());
    if (!name || value === undefined) continue;
    found[name] = value === "true" ? true : value === "false" ? false : value !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
  }
  return found;
}

function useSearch() {
  const [state, setState] = useState({ loading: false, error: null, found: null, took_s: 0 });
  const flight = useRef(null);
  const run = async (question) => {
    flight.current?.abort();
    const stop = (flight.current = new AbortController());
    setState((before) => ({ ...before, loading: true, error: null }));
    const begun = performance.now();
    try {
      const found = await post("v1/search", body(question), { signal: stop.signal });
      learnTypes(found.hits.map((hit) => hit.entity_type));
      setState({ loading: false, error: null, found, took_s: (performance.now() - begun) / 1000 });
    } catch (error) {
      if (!isAbort(error)) setState({ loading: false, error, found: null, took_s: 0 });
    }
  };
  useEffect(() => () => flight.current?.abort(), []);
  return { ...state, run };
}

export function Search({ params }) {
  const [question, setQuestion] = useState(asked(params));
  const search = useSearch();
  const field = useRef(null);
  useEffect(() => {
    if (question.text.trim()) search.run(question);
    else field.current?.focus();
  }, []);
  const set = (name) => (event) => setQuestion({ ...question, [name]: event.target.value });
  const submit = (event) => {
    event?.preventDefault();
    const text = question.text.trim();
    if (!text) return field.current?.focus();
    const clean = { ...question, text, k: Math.max(1, Math.min(K_MAX, Number(question.k) || 10)), expand: Number(question.expand) };
    setQuestion(clean);
    amend("search", { ...clean, expand: clean.expand || "" });
    return search.run(clean);
  };
  return html`<${Page} title="Search" lead="Ask in your own words; what comes back are entities whose texts mean the like.">
    <${Card}>
      <form role="search" onSubmit=${submit} class="stack">
        <div class="form-row">
          <label class="grow"><span>Text</span><input ref=${field} type="search" name="text" dir="auto" autocomplete="off" placeholder="What are you looking for?" value=${question.text} onInput=${set("text")} /></label>
          <button class="primary search-go" disabled=${search.loading}>Search</button>
        </div>
        <div class="form-row">
          <label class="grow"><span>Type</span><${TypeChoice} value=${question.type} relationships=${true} onChoose=${(type) => setQuestion({ ...question, type })} /></label>
          <label class="slim"><span>How many</span><input type="number" min="1" max=${K_MAX} value=${question.k} onInput=${set("k")} /></label>
          <label class="slim"><span>Expand by</span><select value=${String(question.expand)} onChange=${set("expand")}>${HOPS.map((n) => html`<option value=${String(n)} key=${n}>${n === 0 ? "nothing" : plural(n, "hop")}</option>`)}</select></label>
          <label class="grow"><span>Metadata</span><input placeholder="lang=en, year=2020" autocomplete="off" value=${question.metadata} onInput=${set("metadata")} /></label>
        </div>
      </form>
    <//>
    <${Outcome} search=${search} question=${question} />
  <//>`;
}

function Outcome({ search, question }) {
  const { found, error, loading, took_s } = search;
  if (error) return html`<${Trouble} error=${error} what="The search failed" />`;
  if (!found) return loading ? html`<${Card}><${Loading} rows=${6} label="Searching" /><//>` : html`<${Card}><${Empty} title="Nothing asked yet">Results say how alike they are, what text was compared, and why it stands as it does.<//><//>`;
  const told = `${plural(found.hits.length, "result")} in ${seconds(took_s)} · frontier ${count(found.frontier)} · lag ${seconds(found.lag_s)}`;
  return html`<div aria-busy=${loading}><${Card}>
    <div class="card-head"><${Said}>${told}<//>${(found.degraded ?? []).map((each) => html`<${Badge} tone="warn" key=${each}>${each}<//>`)}</div>
    ${(found.unasked ?? []).map((each) => html`<p class="quiet breaks" key=${each.model_id}>Not asked: ${each.model_id} (${(each.types ?? []).join(", ")}): ${each.reason}</p>`)}
    ${found.hits.length ? html`<ol class="hits">${found.hits.map((hit, n) => html`<${Hit} hit=${hit} rank=${n + 1} key=${`${hit.entity_id}|${hit.model_id}`} />`)}</ol>` : html`<${Empty} title="Nothing found">${question.type || question.metadata ? "No record passes the filters." : "The index holds no vector to compare with."}<//>`}
  <//></div>`;
}

function Hit({ hit, rank }) {
  const [open, setOpen] = useState(false);
  return html`<li class="hit">
    <span class="hit-rank">${rank}</span>
    <div class="hit-body">
      <div class="hit-head"><a class="hit-name" href=${keyPage(keyOf(hit.entity_id, hit.entity_type))}><bdi>${hit.name || hit.entity_id}</bdi></a><${TypeName} type=${hit.entity_type} />
        <span class="hit-score"><${Meter} value=${hit.score} /><b title="Cosine similarity">${decimal(hit.score)}</b></span></div>
      ${hit.text && html`<p class="hit-text clip" dir="auto">${hit.text}</p>`}
      <div class="hit-foot"><span class="breaks"><bdi>${hit.entity_id}</bdi></span><span>at ${count(hit.position)}</span><span>${hit.model_id}</span>
        <button type="button" class="small ghost" aria-expanded=${open} onClick=${() => setOpen(!open)}>Why<span class="unseen"> is ${hit.name || hit.entity_id} as it is</span></button></div>
      ${hit.neighbours?.length > 0 && html`<p class="hit-foot">${hit.neighbours.slice(0, 12).map((each) => html`<span key=${`${each.entity_id}${each.relationship_type}`}>${each.direction === "in" ? "←" : "→"} ${each.relationship_type} <${KeyLink} id=${`e:${each.entity_id}`} name=${each.name || each.entity_id} /></span>`)}${hit.neighbours.length > 12 && html`<span>and ${count(hit.neighbours.length - 12)} more</span>`}</p>`}
    </div>
    ${open && html`<div class="why"><${Why} of=${keyOf(hit.entity_id, hit.entity_type)} /></div>`}
  </li>`;
}
