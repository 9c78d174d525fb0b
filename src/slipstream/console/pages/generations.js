// Generations side by side: the live one, the next one, and how good both are.
import { html, useState } from "../vendor/preact.js";
import { get, post } from "../lib/api.js";
import { count, decimal, plural, seconds, share, size, words } from "../lib/format.js";
import { followed } from "../lib/requests.js";
import { useAction, useResource } from "../lib/resource.js";
import { TypeName } from "../lib/types.js";
import { Asked, Badge, Card, Confirm, Empty, Fact, KeyLink, Meter, Page, Said, Table, Time, Trouble } from "../lib/ui.js";

const EVERY_MS = 3000;
const PHASES = ["alone", "building", "built", "retired"];
const TOLD = {
  alone: "One generation is live; none is beside it.",
  building: "The next generation is being built beside the live one.",
  built: "The next generation is whole, and follows each commit. Searches are still answered by the live one.",
  retired: "Searches are answered by the new generation. The old one follows, so that a roll-back is possible.",
  dropping: "The records of the other generation are being removed.",
};
const STEPS = {
  start: { verb: "Start", phases: ["alone"], told: "Texts are embedded anew beside the live generation. Searches do not change." },
  pause: { verb: "Pause", phases: ["building", "built"], told: "Building stops; what is made stays." },
  resume: { verb: "Resume", phases: ["building"], told: "Building goes on; what has changed meanwhile is found by comparison." },
  audit: { verb: "Audit it", phases: ["built", "retired"], told: "Every record of the other generation is compared with the graph." },
  "cut-over": { verb: "Cut over", phases: ["built"], told: "Searches are answered by the next generation from then on. The live one is kept for a roll-back.", danger: true },
  "roll-back": { verb: "Roll back", phases: ["retired"], told: "Searches are answered by the old generation again.", danger: true },
  drop: { verb: "Drop", phases: ["building", "built", "retired"], told: "The records of the generation beside the live one are removed.", danger: true },
};

export function Generations() {
  const found = useResource((signal) => get("v1/migrations", {}, { signal }), [], { every_ms: EVERY_MS });
  const views = useResource((signal) => get("v1/views", {}, { signal }), [found.data?.phase]);
  const [step, setStep] = useState(null);
  const [told, setTold] = useState("");
  const done = (name) => {
    setStep(null);
    setTold(`${STEPS[name].verb}: done.`);
    found.reload();
  };
  const phase = found.data?.phase ?? "alone";
  const isPaused = Boolean(found.data?.is_paused);
  const can = Object.keys(STEPS).filter((name) => STEPS[name].phases.includes(phase) && !(name === "resume" && !isPaused) && !(name === "pause" && isPaused));
  const actions = found.data && can.map((name) => html`<button type="button" class=${name === "cut-over" ? "primary" : ""} key=${name} onClick=${() => setStep(name)}>${STEPS[name].verb}</button>`);
  return html`<${Page} title="Generations" lead="A generation is one build of the vectors by one recipe of views and models." actions=${actions}>
    <${Said}>${told}<//>
    <${Asked} from=${found} rows=${6}>${(data) => html`<${Phases} data=${data} phase=${phase} isPaused=${isPaused} />
      <${Sides} data=${data} phase=${phase} views=${views.data?.items ?? []} />
      ${COMPARABLE.has(phase) && html`<${Comparing} key=${phase} />`}`}<//>
    <${Quality} />
    <${Card} title="Views in force"><${Asked} from=${views} rows=${3}>${(data) => html`<${Views} items=${data.items} />`}<//><//>
    ${step && html`<${Step} name=${step} onClose=${() => setStep(null)} onDone=${() => done(step)} />`}
  <//>`;
}

function Phases({ data, phase, isPaused }) {
  const { progress } = data;
  const isBuilding = phase === "building" && progress?.total;
  return html`<${Card}>
    <div class="stack">
      <ol class="steps" aria-label="Phases">${PHASES.map((name) => html`<li key=${name} aria-current=${name === phase ? "step" : undefined}>${name}</li>`)}</ol>
      <p>${TOLD[phase] ?? words(phase)} ${isPaused && html`<${Badge} tone="warn">paused<//>`} ${data.since && phase !== "alone" && html`<span class="quiet">Since <${Time} at=${data.since} />.</span>`}</p>
      ${!data.is_declared && phase === "alone" && html`<p class="trouble warn">What slipstream.toml declares is not what is live: start a migration, or change it back.</p>`}
      ${isBuilding && html`<div class="progress"><${Meter} value=${progress.ratio} /><span>${share(progress.ratio)} · ${count(progress.done)} of ${count(progress.total)}${progress.eta_s ? ` · about ${seconds(progress.eta_s)} left` : ""}</span></div>`}
      ${data.waiting > 0 && html`<p class="quiet">${plural(data.waiting, "key")} still ${data.waiting === 1 ? "lacks its" : "lack their"} record in it.</p>`}
      ${data.outage && html`<p class="trouble warn breaks">${data.outage}</p>`}
    </div>
  <//>`;
}

// ------------------------------------------------------------------ side by side

const spaceName = (space) => (space ? `${space.model_id} ${space.model_version}` : "none");

// The spaces of one side, each with the types that it is for.
function grouped(spaces, side) {
  const found = new Map();
  for (const [type, both] of spaces) {
    const space = both[side];
    const name = space ? `${spaceName(space)}#${space.generation}` : "none";
    if (!found.has(name)) found.set(name, { space, types: [] });
    found.get(name).types.push(type);
  }
  return [...found.values()];
}

function Sides({ data, phase, views }) {
  const spaces = Object.entries(data.spaces ?? {});
  const named = phase === "retired" ? "Before" : "Next";
  const live = spaces.length ? grouped(spaces, "live") : liveOf(views);
  return html`<div class="compare">
    <${Side} title="Live" tone="accent" groups=${live} told="Answers searches" empty="No view asks for a vector" />
    ${spaces.length ? html`<${Side} title=${named} tone="plain" groups=${grouped(spaces, "other")} told=${phase === "retired" ? "Kept for a roll-back" : "Not searched yet"} />` : html`<${Card} title=${named}><${Empty} title="None">Change views, routes or models in slipstream.toml, and start a migration: it is built here, beside the live one.<//><//>`}
  </div>`;
}

function liveOf(views) {
  const found = new Map();
  for (const { model, generation, type } of views) {
    const name = `${model}#${generation}`;
    if (!found.has(name)) found.set(name, { space: model && { model_id: model, model_version: "", generation }, types: [] });
    found.get(name).types.push(type);
  }
  return [...found.values()];
}

function Side({ title, tone, groups, told, empty = "Nothing" }) {
  return html`<${Card} title=${title} aside=${html`<${Badge} tone=${tone}>${told}<//>`}>
    ${groups.length ? html`<ul class="stack tight">${groups.map(({ space, types }) => html`<li class="space" key=${`${spaceName(space)}${space?.generation}`}>
      <p><b class="breaks">${spaceName(space)}</b> ${space && html`<span class="quiet">generation ${space.generation}${space.dimension ? ` · ${count(space.dimension)} numbers` : ""}</span>`}</p>
      <p class="chips">${types.map((type) => html`<${TypeName} type=${type} key=${type} />`)}</p></li>`)}</ul>` : html`<${Empty} title=${empty} />`}
  <//>`;
}

const COMPARABLE = new Set(["built", "retired"]);

function Comparing() {
  const compare = useAction(async () => followed(await post("v1/quality/compare", {})));
  const { result } = compare;
  const worst = [...(result?.samples ?? [])].sort((one, other) => one.overlap - other.overlap).slice(0, 8);
  const columns = [
    { name: "Record", part: 50, cell: (each) => html`<span class="clip"><${KeyLink} id=${each.key} /></span>` },
    { name: "Overlap", kind: "num", cell: (each) => html`<span class="meter-cell"><${Meter} value=${each.overlap} /><span>${share(each.overlap, 0)}</span></span>` },
    { name: "Order", kind: "num", cell: (each) => decimal(each.rank_correlation, 2) },
  ];
  return html`<${Card} title="Do both find the same?" aside=${html`<button type="button" disabled=${compare.busy} onClick=${compare.run}>${compare.busy ? "Comparing…" : "Compare"}</button>`}>
    <${Trouble} error=${compare.error} what="They could not be compared" />
    <${Said}>${result ? `${result.passed ? "The gate lets it pass" : "The gate does not let it pass"}: ${plural(result.sampled, "record")} compared.` : ""}<//>
    ${result ? html`<dl class="facts">${Object.entries(result.summary).map(([name, value]) => html`<${Fact} name=${words(name)} value=${decimal(value)} key=${name} />`)}<${Fact} name="gate" value=${result.passed ? "passed" : "not passed"} tone=${result.passed ? "good" : "bad"} /></dl>
      ${result.reasons.map((reason) => html`<p class="breaks" key=${reason}>${reason}</p>`)}
      ${worst.length > 0 && html`<h3 class="sub">Those that differ most</h3><${Table} caption="Records whose neighbours differ most" columns=${columns} rows=${worst} rowKey=${(each) => each.key} />`}` : html`<p class="quiet">The neighbours of some records are asked of both generations. Nothing is changed.</p>`}
  <//>`;
}

function Views({ items }) {
  const columns = [
    { name: "Type", part: 22, cell: (view) => html`<${TypeName} type=${view.type} />` },
    { name: "Model", part: 20, cell: (view) => html`<span class="breaks">${view.model ?? "none"}</span>` },
    { name: "Text", kind: "long", cell: (view) => (view.template ? html`<details><summary>template</summary><pre class="quote"><code>${view.template}</code></pre></details>` : html`<span class="quiet">default text${view.properties?.length ? html`: <bdi>${view.properties.join(", ")}</bdi>` : ""}</span>`) },
  ];
  return html`<${Table} caption="Views in force" columns=${columns} rows=${items} rowKey=${(view) => `${view.kind}${view.type}`} empty="There are no types yet" />`;
}

// ------------------------------------------------------------------ quality

function Quality() {
  const found = useResource((signal) => get("v1/quality", {}, { signal }), []);
  const measure = useAction(async () => {
    await followed(await post("v1/quality", {}));
    found.reload();
  });
  return html`<${Card} title="Quality over time" aside=${html`<button type="button" disabled=${measure.busy} onClick=${measure.run}>${measure.busy ? "Measuring…" : "Measure now"}</button>`}>
    <${Trouble} error=${measure.error} what="It could not be measured" />
    <${Asked} from=${found} rows=${4}>${(data) => html`<${Runs} runs=${data.runs} />`}<//>
  <//>`;
}

function Runs({ runs }) {
  const columns = [
    { name: "Run", cell: (run) => html`<b>${run.id}</b>` },
    { name: "When", kind: "fixed", cell: (run) => html`<${Time} at=${run.at} />` },
    { name: "Records", kind: "num", cell: (run) => count(run.records) },
    { name: "Nearest distance", kind: "num", cell: (run) => decimal(run.nearest_distance?.median ?? null) },
    { name: "Found by name", kind: "num", cell: (run) => share(run.self_retrieval?.first ?? null) },
    ...["invalid", "near_duplicate", "hub"].map((kind) => ({ name: words(kind), kind: "num", cell: (run) => count(run.counts?.[kind]) })),
  ];
  return html`<${Table} caption="Quality runs" columns=${columns} rows=${[...runs].reverse()} rowKey=${(run) => run.id} empty="It has not been measured yet" />`;
}

// ------------------------------------------------------------------ one step

function Step({ name, onClose, onDone }) {
  const { verb, told, danger = false } = STEPS[name];
  const plan = useResource((signal) => (name === "start" ? post("v1/migrations/plan", {}, { signal }) : Promise.resolve({})), [name]);
  const act = useAction(async () => {
    await followed(await post(`v1/migrations/${name}`, {}));
    onDone();
  });
  return html`<${Confirm} title=${`${verb}?`} verb=${verb} danger=${danger} disabled=${plan.data === undefined} busy=${act.busy} error=${act.error} onConfirm=${act.run} onClose=${onClose}>
    <p>${told}</p>
    <${Trouble} error=${plan.error} what="There is nothing to start" />
    ${plan.data?.texts !== undefined && html`<dl class="facts"><${Fact} name="Texts to embed" value=${count(plan.data.texts)} /><${Fact} name="Of the embedder" value=${seconds(plan.data.embed_s)} /><${Fact} name="On disk" value=${size(plan.data.disk_bytes)} /></dl>`}
  <//>`;
}
