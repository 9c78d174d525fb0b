// What is in force, read-only: slipstream.toml with its defaults, without secrets.
import { html, useState } from "../vendor/preact.js";
import { get } from "../lib/api.js";
import { useResource } from "../lib/resource.js";
import { Asked, Card, Empty, Page, Value } from "../lib/ui.js";

const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && !("$datetime" in value);

// Tables within tables become rows named by their whole path.
function rowsOf(value, prefix = "") {
  return Object.entries(value).flatMap(([name, each]) => (isTable(each) && Object.keys(each).length ? rowsOf(each, `${prefix}${name}.`) : [[`${prefix}${name}`, each]]));
}

function sections(settings) {
  const loose = Object.fromEntries(Object.entries(settings).filter(([, value]) => !isTable(value)));
  const tables = Object.entries(settings).filter(([, value]) => isTable(value));
  return [...(Object.keys(loose).length ? [["", loose]] : []), ...tables].map(([name, value]) => [name, rowsOf(value)]);
}

export function Settings() {
  const [sought, setSought] = useState("");
  const found = useResource((signal) => get("v1/settings", {}, { signal }), []);
  const filter = html`<label><span class="unseen">Find a setting</span><input type="search" placeholder="Find a setting" value=${sought} onInput=${(e) => setSought(e.target.value)} /></label>`;
  return html`<${Page} title="Settings" lead="What is in force, with its defaults. It is changed in slipstream.toml, and read at the next start." actions=${filter}>
    <${Asked} from=${found} rows=${10}>${(data) => html`<${Shown} all=${sections(data.config)} sought=${sought.trim().toLowerCase()} />`}<//>
  <//>`;
}

function Shown({ all, sought }) {
  const kept = all.map(([name, rows]) => [name, rows.filter(([key]) => `${name}.${key}`.toLowerCase().includes(sought))]).filter(([, rows]) => rows.length);
  if (!kept.length) return html`<${Card}><${Empty} title="No setting is called so" /><//>`;
  return html`<div class="columns settings">${kept.map(([name, rows]) => html`<${Card} title=${name ? html`<code>[${name}]</code>` : "At the top"} key=${name}>
    <dl class="pairs">${rows.map(([key, value]) => html`<div key=${key}><dt><code>${key}</code></dt><dd><${Setting} value=${value} /></dd></div>`)}</dl>
  <//>`)}</div>`;
}

function Setting({ value }) {
  if (value === null) return html`<span class="quiet">not set</span>`;
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.length ? html`<span class="breaks">${value.join(", ")}</span>` : html`<span class="quiet">none</span>`;
  return html`<${Value} value=${value} />`;
}
