// Why a record is as it is: its verdict, its text, the stamps of each model, and its life.
import { html } from "../vendor/preact.js";
import { get } from "./api.js";
import { count, words } from "./format.js";
import { useResource } from "./resource.js";
import { Asked, Badge, Copy, Dot, Empty, KeyLink, Table, Time } from "./ui.js";

const TONES = { fresh: "good", pending: "accent", stale: "warn", missing: "warn", unrenderable: "bad", "dead letter": "bad" };
const OUTCOMES = [
  [/fail|dead|refus/, "bad"],
  [/wait|pending|not yet/, "warn"],
];

export function useWhy(key) {
  return useResource((signal) => get("v1/keys", { key }, { signal }), [key]);
}

export function Verdict({ of }) {
  return html`<${Badge} tone=${TONES[of] ?? "plain"}>${of}<//>`;
}

export function Why({ id }) {
  const found = useWhy(`e:${id}`);
  return html`<${Asked} from=${found} rows=${3} what="It can not be explained">${(why) => html`
    <div><${Verdict} of=${why.verdict} /> <${Reasons} why=${why} /></div>
    ${why.neighbours && Object.values(why.neighbours).some((keys) => keys.length) && html`<p class="hit-foot">Its text also shows
      ${Object.entries(why.neighbours).flatMap(([name, keys]) => keys.map((key) => html`<span key=${name + key}>${name}: <${KeyLink} id=${key} name=${key.slice(2)} /></span>`))}</p>`}
    <${Stamps} why=${why} />`}<//>`;
}

export function Reasons({ why }) {
  const all = [...(why.reasons ?? []), why.embedded_for && `The vector was made for: ${why.embedded_for}`].filter(Boolean);
  return html`<ul>${all.map((reason) => html`<li class="breaks" key=${reason}>${reason}</li>`)}</ul>`;
}

export function Text({ why }) {
  if (why.text === null || why.text === undefined) return html`<${Empty} title="No text">No view covers it, or it can not be rendered.<//>`;
  return html`<p class="quote" dir="auto">${why.text}</p>
    ${why.template && html`<details><summary>Template</summary><pre class="quote"><code>${why.template}</code></pre></details>`}`;
}

// One stamp for each vector that the index holds of it.
export function Stamps({ why }) {
  const stamps = why.stamps?.length ? why.stamps : [why.stored].filter(Boolean);
  const columns = [
    { name: "Model", cell: (s) => html`<span class="breaks">${s.space.model_id}</span>` },
    { name: "Generation", kind: "num", cell: (s) => count(s.space.generation) },
    { name: "Dimension", kind: "num", cell: (s) => count(s.space.dimension) },
    { name: "Read at", kind: "num fixed", cell: (s) => count(s.position) },
    { name: "Made", kind: "fixed", cell: (s) => html`<${Time} at=${s.created_at} />` },
    { name: "Fingerprint", cell: (s) => html`<code title=${s.fingerprint}>${s.fingerprint.slice(0, 12)}</code> ${why.fingerprint && (s.fingerprint === why.fingerprint ? html`<${Badge} tone="good">as its text now<//>` : html`<${Badge} tone="warn">differs from its text<//>`)}` },
  ];
  return html`<${Table} caption="Vectors, with their stamps" columns=${columns} rows=${stamps} rowKey=${(s) => `${s.space.model_id}#${s.space.generation}`} empty="The index has no vector of it" />`;
}

export function Life({ why }) {
  const happenings = why.happenings ?? [];
  if (!happenings.length) return html`<${Empty} title="The log tells nothing of it">It was looked through back to position ${count(why.looked_back_to)}.<//>`;
  return html`<ol class="life">${happenings.map((each) => html`<li key=${`${each.position}${each.event}${each.about}`}>
    <${Dot} tone=${OUTCOMES.find(([like]) => like.test(each.outcome))?.[1] ?? "good"} />
    <div><p class="life-head"><b>${words(each.event)}</b><span class="quiet"><${Time} at=${each.committed_at} /></span></p>
      <p class="quiet breaks">at ${count(each.position)} · ${each.about}${each.changed?.length ? html` · <bdi>${each.changed.join(", ")}</bdi>` : ""}</p>
      <p class="quiet breaks">${each.outcome}</p></div>
  </li>`)}</ol>`;
}

export function CopyId({ id }) {
  return html`<${Copy} text=${id} label="Copy id" />`;
}
