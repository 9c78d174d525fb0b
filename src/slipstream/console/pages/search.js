// The search lab: what a question finds, by which arms, how well, and why each record is as it is.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { isAbort, post } from "../lib/api.js";
import { count, decimal, plural, seconds } from "../lib/format.js";
import { amend, keyPage } from "../lib/route.js";
import { keyOf, learnTypes, TypeChoice, TypeName } from "../lib/types.js";
import { useResource } from "../lib/resource.js";
import { Asked, Badge, Card, Empty, KeyLink, Loading, Meter, Page, Said, Trouble } from "../lib/ui.js";
import { Why } from "../lib/why.js";

const K_MAX = 100;
const HOPS = [0, 1, 2, 3];
const MODES = { hybrid: "everything", vector: "meaning", keyword: "words", exact: "names" };
const LACKS = { graph: "not joined with the graph", vector: "no model answers: found by names and words alone", keyword: "words can not be searched", engine: "the engine does not run", outage: "the engine waits for a store or a model" };
const KINDS = { id: "The text is its id.", key: "The text is a key of it.", name: "The text is its name.", alias: "The text is an alias of it." };

function asked(params) {
  return { text: params.text ?? "", mode: params.mode in MODES ? params.mode : "hybrid", type: params.type ?? "", k: Number(params.k) || 10, expand: Number(params.expand) || 0, metadata: params.metadata ?? "" };
}

function body({ text, mode, type, k, expand, metadata }) {
  const sent = { text, mode, k, expand };
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
      setState({ loading: false, error: null, found, question, took_s: (performance.now() - begun) / 1000 });
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
    amend("search", { ...clean, mode: clean.mode === "hybrid" ? "" : clean.mode, expand: clean.expand || "" });
    return search.run(clean);
  };
  return html`<${Page} title="Search" lead="Ask in your own words; what comes back are the entities that fit by name, words and meaning.">
    <${Card}>
      <form role="search" onSubmit=${submit} class="stack">
        <div class="form-row">
          <label class="grow"><span>Text</span><input ref=${field} type="search" name="text" dir="auto" autocomplete="off" placeholder="What are you looking for?" value=${question.text} onInput=${set("text")} /></label>
          <button class="primary search-go" disabled=${search.loading}>Search</button>
        </div>
        <div class="form-row">
          <label class="grow"><span>Type</span><${TypeChoice} value=${question.type} relationships=${true} onChoose=${(type) => setQuestion({ ...question, type })} /></label>
          <label class="slim"><span>Search by</span><select value=${question.mode} onChange=${set("mode")}>${Object.entries(MODES).map(([mode, told]) => html`<option value=${mode} key=${mode}>${told}</option>`)}</select></label>
          <label class="slim"><span>How many</span><input type="number" min="1" max=${K_MAX} value=${question.k} onInput=${set("k")} /></label>
          <label class="slim"><span>Expand by</span><select value=${String(question.expand)} onChange=${set("expand")}>${HOPS.map((n) => html`<option value=${String(n)} key=${n}>${n === 0 ? "nothing" : plural(n, "hop")}</option>`)}</select></label>
          <label class="grow"><span>Metadata</span><input placeholder="lang=en, year=2020" autocomplete="off" value=${question.metadata} onInput=${set("metadata")} /></label>
        </div>
      </form>
    <//>
    <${Outcome} search=${search} />
  <//>`;
}

// The same question once more, with its explanation: asked when the first hit is looked into, for all hits.
function useExplained(found, question) {
  const asking = useRef({});
  return () => {
    if (asking.current.found !== found) {
      const answer = post("v1/search", { ...body(question), expand: 0, explain: true });
      asking.current = { found, answer };
      answer.catch(() => (asking.current = {}));
    }
    return asking.current.answer;
  };
}

function Outcome({ search }) {
  const { found, error, loading, took_s, question } = search;
  const explain = useExplained(found, question);
  if (error) return html`<${Trouble} error=${error} what="The search failed" />`;
  if (!found) return loading ? html`<${Card}><${Loading} rows=${6} label="Searching" /><//>` : html`<${Card}><${Empty} title="Nothing asked yet">Results say how well they fit, what text was compared, and why.<//><//>`;
  const best = Math.max(...found.hits.map((hit) => hit.score));
  const told = `${plural(found.hits.length, "result")} in ${seconds(took_s)} · frontier ${count(found.frontier)} · lag ${seconds(found.lag_s)}`;
  return html`<div aria-busy=${loading}><${Card}>
    <div class="card-head"><${Said}>${told}<//>${(found.degraded ?? []).map((each) => html`<${Badge} tone="warn" key=${each}><span title=${LACKS[each]}>${each}</span><//>`)}</div>
    ${(found.degraded ?? []).filter((each) => each in LACKS).map((each) => html`<p class="quiet breaks" key=${each}>Degraded (${each}): ${LACKS[each]}.</p>`)}
    ${(found.unasked ?? []).map((each) => html`<p class="quiet breaks" key=${each.model_id}>Not asked: ${each.model_id} (${(each.types ?? []).join(", ")}): ${each.reason}</p>`)}
    ${found.hits.length ? html`<ol class="hits">${found.hits.map((hit, n) => html`<${Hit} hit=${hit} rank=${n + 1} share=${best > 0 ? hit.score / Math.max(best, 1) : 0} explain=${explain} key=${`${hit.entity_id}|${hit.model_id}`} />`)}</ol>` : html`<${Empty} title="Nothing found">${question.type || question.metadata ? "No record passes the filters." : "Nothing in the index fits the text."}<//>`}
  <//></div>`;
}

function Hit({ hit, rank, share, explain }) {
  const [open, setOpen] = useState(false);
  return html`<li class="hit">
    <span class="hit-rank">${rank}</span>
    <div class="hit-body">
      <div class="hit-head"><a class="hit-name" href=${keyPage(keyOf(hit.entity_id, hit.entity_type))}><bdi>${hit.name || hit.entity_id}</bdi></a><${TypeName} type=${hit.entity_type} />
        <span class="hit-score"><${Meter} value=${share} /><b title="Score: what the hits are ordered by">${decimal(hit.score)}</b></span></div>
      ${hit.text && html`<p class="hit-text clip" dir="auto">${hit.text}</p>`}
      <div class="hit-foot"><span class="breaks"><bdi>${hit.entity_id}</bdi></span><span>at ${count(hit.position)}</span>${hit.model_id && html`<span>${hit.model_id}</span>`}
        <button type="button" class="small ghost" aria-expanded=${open} onClick=${() => setOpen(!open)}>Why<span class="unseen"> is ${hit.name || hit.entity_id} found, and as it is</span></button></div>
      ${hit.neighbours?.length > 0 && html`<p class="hit-foot">${hit.neighbours.slice(0, 12).map((each) => html`<span key=${`${each.entity_id}${each.relationship_type}`}>${each.direction === "in" ? "←" : "→"} ${each.relationship_type} <${KeyLink} id=${`e:${each.entity_id}`} name=${each.name || each.entity_id} /></span>`)}${hit.neighbours.length > 12 && html`<span>and ${count(hit.neighbours.length - 12)} more</span>`}</p>`}
    </div>
    ${open && html`<div class="why"><${Explained} hit=${hit} explain=${explain} /><${Why} of=${keyOf(hit.entity_id, hit.entity_type)} /></div>`}
  </li>`;
}

function Explained({ hit, explain }) {
  const asked = useResource(() => explain(), [hit]);
  return html`<${Asked} from=${asked} rows=${2} what="Why it was found can not be told">${(found) => {
    const why = found.hits.find((each) => each.entity_id === hit.entity_id)?.explanation;
    if (!why) return html`<p class="quiet">It is found no more: something has changed since.</p>`;
    return html`<div class="stack">
      <p class="hit-foot">${why.arms.map((arm) => html`<${Badge} key=${`${arm.arm}${arm.model_id}`}><span title=${arm.model_id}>${arm.arm}: rank ${count(arm.rank)}, ${decimal(arm.score)}${arm.share ? `, adds ${decimal(arm.share)}` : ""}</span><//>`)}${why.name_kind && html`<span>${KINDS[why.name_kind] ?? why.name_kind}</span>`}</p>
      ${why.matched.length > 0 && html`<p class="hit-foot breaks">Words: ${why.matched.join(", ")}</p>`}
      ${why.snippet && html`<p class="quote" dir="auto">${why.snippet}</p>`}
    </div>`;
  }}<//>`;
}
