// Dead letters: what failed for good, to be tried again or dropped.
import { html, useState } from "../vendor/preact.js";
import { get, post } from "../lib/api.js";
import { count, plural } from "../lib/format.js";
import { followed } from "../lib/requests.js";
import { useAction, usePages } from "../lib/resource.js";
import { Asked, Card, Confirm, Empty, KeyLink, MorePages, Page, Said, Table, Time, Trouble } from "../lib/ui.js";

const PAGE = 50;

export function Letters() {
  const list = usePages((after, signal) => get("v1/dead-letters", { after, limit: PAGE }, { signal }), []);
  const [chosen, setChosen] = useState(new Set());
  const [discarding, setDiscarding] = useState(false);
  const [told, setTold] = useState("");
  const ids = [...chosen].filter((id) => list.items?.some((letter) => letter.id === id));
  const ended = (text) => {
    setChosen(new Set());
    setDiscarding(false);
    setTold(text);
    list.reload();
  };
  const replay = useAction(async (which) => {
    const done = await followed(await post("v1/dead-letters/replay", which));
    ended(`${plural(countOf(done, which.ids?.length ?? list.items.length), "letter")} sent back to work.`);
  });
  const discard = useAction(async () => {
    const done = await followed(await post("v1/dead-letters/discard", { ids }));
    ended(`${plural(countOf(done, ids.length), "letter")} discarded.`);
  });
  const actions = html`
    <button type="button" disabled=${!list.items?.length || replay.busy} onClick=${() => replay.run(ids.length ? { ids } : { all: true })}>${replay.busy ? "Replaying…" : ids.length ? `Replay ${count(ids.length)}` : "Replay all"}</button>
    <button type="button" class="risky" disabled=${!ids.length} onClick=${() => setDiscarding(true)}>Discard${ids.length ? ` ${count(ids.length)}` : ""}</button>`;
  return html`<${Page} title="Dead letters" lead="Keys and events that failed for good. They wait here until they are tried again or dropped." actions=${actions}>
    <${Said}>${told}<//>
    <${Trouble} error=${replay.error} what="They could not be replayed" />
    <${Card}><${Asked} from=${{ ...list, data: list.items }} rows=${5}>${(items) =>
      items.length ? html`<${Rows} items=${items} chosen=${chosen} setChosen=${setChosen} /><${MorePages} list=${list} />` : html`<${Empty} title="No dead letters">All that was committed has been worked off, or still is.<//>`}<//><//>
    ${discarding && html`<${Confirm} title=${`Discard ${plural(ids.length, "dead letter")}?`} verb="Discard" danger=${true} busy=${discard.busy} error=${discard.error} onConfirm=${discard.run} onClose=${() => setDiscarding(false)}>
      <p>They are forgotten, and never tried again. An audit still finds a key whose record is not as the graph asks for.</p>
      <ul class="quote">${ids.slice(0, 8).map((id) => html`<li key=${id}><bdi>${id}</bdi></li>`)}${ids.length > 8 && html`<li>and ${count(ids.length - 8)} more</li>`}</ul>
    <//>`}
  <//>`;
}

// Of what took longer the result is the number itself.
function countOf(done, otherwise) {
  return [done, done?.replayed, done?.discarded].find((each) => typeof each === "number") ?? otherwise;
}

function Rows({ items, chosen, setChosen }) {
  const toggle = (id) => (event) => {
    const next = new Set(chosen);
    if (event.target.checked) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  const all = items.every((letter) => chosen.has(letter.id));
  const columns = [
    {
      name: "",
      head: html`<input type="checkbox" aria-label="Choose all that are shown" checked=${all} onChange=${() => setChosen(new Set(all ? [] : items.map((letter) => letter.id)))} />`,
      kind: "check-cell",
      part: 4,
      cell: (letter) => html`<input type="checkbox" aria-label=${`Choose ${letter.id}`} checked=${chosen.has(letter.id)} onChange=${toggle(letter.id)} />`,
    },
    { name: "Of", part: 22, cell: (letter) => (letter.key ? html`<${KeyLink} id=${letter.key} name=${letter.key.slice(2)} />` : html`<details><summary><bdi class="breaks">${letter.id}</bdi></summary><pre class="quote"><code>${letter.payload ?? "no payload"}</code></pre></details>`) },
    { name: "Error", kind: "long", cell: (letter) => html`<span class="breaks"><bdi>${letter.error}</bdi></span>` },
    { name: "Attempts", kind: "num", part: 9, cell: (letter) => count(letter.attempts) },
    { name: "Failed", kind: "fixed", part: 11, cell: (letter) => html`<${Time} at=${letter.failed_at} />` },
    { name: "Position", kind: "num", part: 11, cell: (letter) => count(letter.position) },
  ];
  return html`<${Table} caption="Dead letters" columns=${columns} rows=${items} rowKey=${(letter) => letter.id} />`;
}
