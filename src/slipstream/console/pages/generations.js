// Generations side by side: the live one, the next one, and how good both are.
import { html, useState } from "../vendor/preact.js";
import { get, post } from "../lib/api.js";
import { count, decimal, plural, seconds, share, size, words } from "../lib/format.js";
import { followed } from "../lib/requests.js";
import { useAction, useResource } from "../lib/resource.js";
import { Asked, Badge, Card, Confirm, Empty, Fact, Meter, Page, Pairs, Said, Table, Time, Trouble } from "../lib/ui.js";

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
  const quality = useResource((signal) => get("v1/quality", {}, { signal }), []);
  const [step, setStep] = useState(null);
  const [told, setTold] = useState("");
  const done = (name) => {
    setStep(null);
    setTold(`${STEPS[name].verb}: done.`);
    found.reload();
  };
  const phase = found.data?.phase ?? "alone";
  const isPaused = Boolean(found.data?.is_paused ?? found.data?.paused);
  const can = Object.keys(STEPS).filter((name) => STEPS[name].phases.includes(phase) && !(name === "resume" && !isPaused) && !(name === "pause" && isPaused));
  const actions = found.data && can.map((name) => html`<button type="button" class=${name === "cut-over" ? "primary" : ""} key=${name} onClick=${() => setStep(name)}>${STEPS[name].verb}</button>`);
  return html`<${Page} title="Generations" lead="A generation is one build of the vectors by one recipe of views and models." actions=${actions}>
    <${Said}>${told}<//>
    <${Asked} from=${found} rows=${6}>${(data) => html`<${Phases} data=${data} phase=${phase} isPaused=${isPaused} /><${Sides} data=${data} phase=${phase} />`}<//>
    <${Card} title="Quality over time"><${Asked} from=${quality} rows=${4}>${(data) => html`<${Quality} runs=${data.runs ?? data.trend ?? data.items ?? []} />`}<//><//>
    ${step && html`<${Step} name=${step} onClose=${() => setStep(null)} onDone=${() => done(step)} />`}
  <//>`;
}

function Phases({ data, phase, isPaused }) {
  const { progress } = data;
  const part = progress?.total ? progress.done / progress.total : null;
  return html`<${Card}>
    <div class="stack">
      <ol class="steps" aria-label="Phases">${PHASES.map((name) => html`<li key=${name} aria-current=${name === phase ? "step" : undefined}>${name}</li>`)}</ol>
      <p>${TOLD[phase] ?? words(phase)} ${isPaused && html`<${Badge} tone="warn">paused<//>`}</p>
      ${part !== null && html`<div class="progress"><${Meter} value=${part} /><span>${share(part)} · ${count(progress.done)} of ${count(progress.total)}${progress.eta_s ? ` · about ${seconds(progress.eta_s)} left` : ""}</span></div>`}
      ${data.waiting > 0 && html`<p class="quiet">${plural(data.waiting, "key")} still ${data.waiting === 1 ? "lacks its" : "lack their"} record in it.</p>`}
      ${data.outage && html`<p class="trouble warn breaks">${data.outage}</p>`}
      ${data.since && html`<p class="quiet">In this phase since <${Time} at=${data.since} /></p>`}
    </div>
  <//>`;
}

function sidesOf(data) {
  if (Array.isArray(data.generations)) return data.generations;
  return [data.live && { name: "live", ...data.live }, data.other && { name: "other", ...data.other }].filter(Boolean);
}

function Sides({ data, phase }) {
  const sides = sidesOf(data);
  const spaces = Object.entries(data.spaces ?? {});
  const other = phase === "retired" ? "Before" : "Next";
  return html`${sides.length > 0 && html`<div class="compare">${sides.map((side, n) => html`<${Side} key=${n} side=${side} title=${n === 0 ? "Live" : other} />`)}
      ${sides.length === 1 && html`<${Card} title=${other}><${Empty} title="None">Change views, routes or models in slipstream.toml, and start a migration: it is built here, beside the live one.<//><//>`}</div>`}
    ${spaces.length > 0 && html`<${Card} title="Types that differ"><${Spaces} spaces=${spaces} other=${other} /><//>`}`;
}

function Side({ side, title }) {
  const number = side.generation ?? side.number;
  const models = side.models ?? {};
  const { views, routes, generations, generation, number: _number, name: _name, models: _models, ...rest } = side;
  const routed = Object.entries(routes ?? {});
  return html`<${Card} title=${title} aside=${number !== undefined && html`<${Badge} tone=${title === "Live" ? "accent" : "plain"}>generation ${number}<//>`}>
    <div class="stack">
      ${routed.length > 0 && html`<dl class="pairs">${routed.map(([type, model]) => html`<div key=${type}><dt><bdi>${type === "default" ? "all other types" : type}</bdi></dt><dd>${model}</dd></div>`)}</dl>`}
      ${Array.isArray(models) ? models.length > 0 && html`<p>${models.map((each) => html`<${Badge} key=${each.model_id ?? each}>${each.model_id ?? each}<//> `)}</p>` : Object.keys(models).length > 0 && html`<dl class="pairs">${Object.entries(models).map(([model, told]) => html`<div key=${model}><dt>${model}</dt><dd>${Array.isArray(told) ? told.filter((each) => each !== null && each !== "").join(" · ") : typeof told === "object" ? Object.values(told).join(" · ") : String(told)}</dd></div>`)}</dl>`}
      ${Object.keys(rest).length > 0 && html`<${Pairs} of=${rest} />`}
      ${views?.length > 0 && html`<details><summary>${plural(views.length, "view")}</summary>${views.map((view) => html`<div class="view" key=${view.type}><h3><bdi>${view.type}</bdi></h3><pre class="quote"><code>${view.template ?? "default text"}</code></pre></div>`)}</details>`}
    </div>
  <//>`;
}

const spaceTold = (space) => (space ? `${space.model_id}${space.model_version ? ` ${space.model_version}` : ""} · ${count(space.dimension)} · generation ${space.generation}` : "–");

function Spaces({ spaces, other }) {
  const pairOf = (pair) => (Array.isArray(pair) ? pair : [pair.live ?? pair.from, pair.other ?? pair.to]);
  const columns = [
    { name: "Type", cell: ([type]) => html`<bdi>${type || "all other types"}</bdi>` },
    { name: "Live", cell: ([, pair]) => spaceTold(pairOf(pair)[0]) },
    { name: other, cell: ([, pair]) => spaceTold(pairOf(pair)[1]) },
  ];
  return html`<${Table} caption="Types that differ" columns=${columns} rows=${spaces} rowKey=${([type]) => type} />`;
}

function Quality({ runs }) {
  const rows = [...runs].reverse();
  const columns = [
    { name: "Run", cell: (run) => html`<b>${run.id}</b>` },
    { name: "When", kind: "fixed", cell: (run) => html`<${Time} at=${run.at} />` },
    { name: "Records", kind: "num", cell: (run) => count(run.records) },
    { name: "Nearest distance", kind: "num", cell: (run) => decimal(run.nearest_distance?.median) },
    { name: "Finds itself", kind: "num", cell: (run) => share(run.self_retrieval?.recall_at_1 ?? run.self_retrieval?.first ?? run.self_retrieval?.share ?? null) },
    ...["invalid", "near_duplicate", "hub", "not_self_retrieved"].map((kind) => ({ name: words(kind), kind: "num", cell: (run) => count(run.counts?.[kind]) })),
  ];
  return html`<${Table} caption="Quality runs" columns=${columns} rows=${rows} rowKey=${(run) => run.id} empty="Quality has not been measured yet: slipstream quality run" />`;
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
