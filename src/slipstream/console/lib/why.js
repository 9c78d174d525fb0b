// Why a record is as it is: its verdict, its text, the stamps of each model, and its life.
import { html, useCallback, useEffect, useRef } from "../vendor/preact.js";
import { inkOf, useScheme } from "../drawings/chart.js";
import { get } from "./api.js";
import { count, words } from "./format.js";
import { useResource } from "./resource.js";
import { Asked, Badge, Copy, Dot, Empty, KeyLink, Time } from "./ui.js";

const TONES = { fresh: "good", pending: "accent", stale: "warn", missing: "warn", unrenderable: "bad", "dead letter": "bad" };
const OUTCOMES = [
  [/fail|dead|refus/, "bad"],
  [/wait|pending|not yet/, "warn"],
];

export function useWhy(key, { vectors = false } = {}) {
  return useResource((signal) => get("v1/keys", { key, vectors }, { signal }), [key]);
}

export function Verdict({ of }) {
  return html`<${Badge} tone=${TONES[of] ?? "plain"}>${of}<//>`;
}

export function Why({ of }) {
  const found = useWhy(of);
  return html`<${Asked} from=${found} rows=${3} what="It can not be explained">${(why) => html`
    <div><${Verdict} of=${why.verdict} /> <${Reasons} why=${why} /></div>
    ${why.neighbours && Object.values(why.neighbours).some((keys) => keys.length) && html`<p class="hit-foot">Its text also shows
      ${Object.entries(why.neighbours).flatMap(([name, keys]) => keys.map((key) => html`<span key=${name + key}>${name}: <${KeyLink} id=${key} name=${key.slice(2)} /></span>`))}</p>`}
    <${Generations} why=${why} />`}<//>`;
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

const ROLES = { live: ["accent", "live"], beside: ["plain", "beside"], stray: ["warn", "stray"] };

// What each generation is to hold of it, and what it holds: text, stamp, and the vector itself.
export function Generations({ why }) {
  const all = why.generations ?? [];
  if (!all.length) return html`<${Empty} title="No vector">The index has no vector of it, and is to have none.<//>`;
  return html`<ul class="gens">${all.map((each) => html`<${Generation} of=${each} why=${why} key=${`${each.role}${each.generation}${each.model_id}`} />`)}</ul>`;
}

function Generation({ of, why }) {
  const { stored, vector, text, fault } = of;
  const [tone, role] = ROLES[of.role] ?? ["plain", of.role];
  const isFresh = stored && of.fingerprint && stored.fingerprint === of.fingerprint;
  return html`<li class="gen">
    <div class="gen-head"><b class="breaks">${of.model_id ?? "no model"}</b>${of.generation !== null && html`<span class="quiet">generation ${of.generation}</span>`}<${Badge} tone=${tone}>${role}<//>
      ${stored ? of.fingerprint && html`<${Badge} tone=${isFresh ? "good" : "warn"}>${isFresh ? "as its text now" : "not as its text now"}<//>` : html`<${Badge} tone="warn">not there<//>`}</div>
    ${vector && html`<${Vector} of=${vector} />`}
    ${stored && html`<dl class="stamp">
      <div><dt>Read at</dt><dd>${count(stored.position)}</dd></div><div><dt>Made</dt><dd><${Time} at=${stored.created_at} /></dd></div>
      <div><dt>Schema</dt><dd>${count(stored.schema_version)}</dd></div><div><dt>Fingerprint</dt><dd><code title=${stored.fingerprint}>${stored.fingerprint.slice(0, 12)}</code></dd></div>
      ${stored.extraction_confidence !== null && html`<div><dt>Confidence</dt><dd>${stored.extraction_confidence}</dd></div>`}
      ${Object.entries(stored.metadata ?? {}).map(([name, value]) => html`<div key=${name}><dt><bdi>${name}</bdi></dt><dd><bdi>${String(value)}</bdi></dd></div>`)}
    </dl>`}
    ${stored?.needs_reembedding && html`<p class="quiet breaks">Marked to be embedded anew: ${stored.reembedding_reason ?? "no reason given"}</p>`}
    ${fault && html`<p class="trouble bad breaks">${fault}</p>`}
    ${text && text !== why.text && html`<p class="quote" dir="auto">${text}</p>`}
  </li>`;
}

// A vector as a strip: a column for each number, up for what is positive, down for what is negative.
function Vector({ of }) {
  const canvas = useRef(null);
  const draw = useCallback(() => {
    const { clientWidth: width, clientHeight: height } = canvas.current;
    const ratio = devicePixelRatio || 1;
    Object.assign(canvas.current, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.current.getContext("2d");
    pen.scale(ratio, ratio);
    const most = Math.max(...of.map(Math.abs), 1e-12);
    const step = width / of.length;
    for (const [sign, ink] of [[1, inkOf("accent")], [-1, inkOf("hue1")]]) {
      pen.fillStyle = ink;
      of.forEach((number, n) => {
        if (Math.sign(number) !== sign) return;
        const tall = (Math.abs(number) / most) * (height / 2 - 1);
        pen.fillRect(n * step, sign > 0 ? height / 2 - tall : height / 2, Math.max(step * 0.86, 0.4), tall);
      });
    }
  }, [of]);
  useEffect(() => {
    draw();
    const watch = new ResizeObserver(draw);
    watch.observe(canvas.current);
    return () => watch.disconnect();
  }, [draw]);
  useScheme(draw);
  return html`<canvas class="vector" ref=${canvas} role="img" aria-label=${`A vector of ${of.length} numbers, from ${Math.min(...of).toFixed(3)} to ${Math.max(...of).toFixed(3)}`}></canvas>`;
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
