// Commits as they happen, from a stream of events that is read by fetch: its token goes in a header.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { Away, epoch, get, isAbort, open, Problem } from "../lib/api.js";
import { count, plural, words } from "../lib/format.js";
import { to } from "../lib/route.js";
import { useStore } from "../lib/store.js";
import { learnTypes, TypeName } from "../lib/types.js";
import { Badge, Card, Dot, Empty, KeyLink, Page, Table, Time, Trouble } from "../lib/ui.js";

const KEPT = 400;
const BACK = 50;
const PAUSE_MS = 1500;

// Yields the data of each event in a body of text/event-stream.
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value.replaceAll("\r\n", "\n");
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const lines = part.split("\n");
      const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (!data.length) continue;
      const found = JSON.parse(data.join("\n"));
      if (lines.includes("event: problem")) throw new Problem(found, found.status);
      yield found;
    }
  }
}

async function follow(stop, take, setState) {
  const head = (await get("v1/status", { counts: false }, { signal: stop })).head ?? 0;
  let after = Math.max(0, head - BACK);
  while (!stop.aborted) {
    const response = await stream(after, stop).catch((error) => lost(error, head, stop));
    setState({ live: true, error: null });
    for await (const change of events(response.body)) {
      after = change.position ?? after;
      take(change);
    }
    setState({ live: false, error: null });
    await new Promise((wake) => setTimeout(wake, PAUSE_MS));
  }
}

const stream = (after, signal) => open("GET", "v1/changes/stream", { params: { after }, signal, headers: { Accept: "text/event-stream" } });

// The log may not reach back that far any more: then only what comes is shown.
function lost(error, head, signal) {
  if (error.status !== 410) throw error;
  return stream(head, signal);
}

function useChanges() {
  const [items, setItems] = useState([]);
  const [state, setState] = useState({ live: false, error: null });
  const waiting = useRef([]);
  const round = useStore(epoch);
  useEffect(() => {
    const stop = new AbortController();
    waiting.current = [];
    setItems([]);
    // Many changes at once are drawn once.
    const timer = setInterval(() => {
      if (!waiting.current.length) return;
      const fresh = waiting.current.reverse();
      waiting.current = [];
      learnTypes(fresh.map((change) => change.type));
      setItems((before) => [...fresh, ...before].slice(0, KEPT));
    }, 120);
    follow(stop.signal, (change) => waiting.current.push(change), setState).catch((error) => {
      if (!isAbort(error)) setState({ live: false, error });
    });
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [round]);
  return { items, ...state };
}

export function Changes() {
  const { items, live, error } = useChanges();
  const [held, setHeld] = useState(null);
  const [type, setType] = useState("");
  const shown = (held ?? items).filter((change) => !type || change.type === type);
  const missed = held ? items.filter((change) => change.position > (held[0]?.position ?? 0)).length : 0;
  const types = [...new Set((held ?? items).map((change) => change.type))].filter(Boolean).sort();
  const actions = html`<label><span class="unseen">Type</span><select value=${type} onChange=${(e) => setType(e.target.value)}><option value="">all types</option>${types.map((name) => html`<option value=${name} key=${name}>${name}</option>`)}</select></label>
    <button type="button" aria-pressed=${held !== null} onClick=${() => setHeld(held ? null : items)}>${held ? `Go on${missed ? ` (${count(missed)} new)` : ""}` : "Hold"}</button>`;
  const lead = html`<span class="id-line"><${Dot} tone=${live ? "good" : "warn"} />${live ? (held ? "Held; the stream goes on behind it." : "Live: each commit as it happens.") : "Not connected."}</span>`;
  return html`<${Page} title="Changes" lead=${lead} actions=${actions}>
    ${error && !(error instanceof Away) && html`<${Trouble} error=${error} what="The stream ended" />`}
    <${Card}><div class="feed" role="log" aria-live="off" aria-label="Changes">${shown.length ? html`<${Rows} items=${shown} />` : html`<${Empty} title="No changes yet">They appear here as they are committed.<//>`}</div>
      ${shown.length >= KEPT && html`<p class="quiet">The newest ${plural(KEPT, "change")} are kept in view.</p>`}<//>
  <//>`;
}

const TONES = { created: "good", deleted: "bad", rescan: "warn" };

function Rows({ items }) {
  const columns = [
    { name: "Position", kind: "fixed", part: 10, cell: (change) => count(change.position) },
    { name: "Change", part: 19, cell: (change) => html`<${Badge} tone=${Object.entries(TONES).find(([part]) => change.kind.includes(part))?.[1] ?? "accent"}>${words(change.kind)}<//>` },
    { name: "Of", part: 28, cell: (change) => html`<${Of} change=${change} />` },
    { name: "Type", cell: (change) => html`<${TypeName} type=${change.type} />` },
    { name: "Properties", cell: (change) => html`<bdi class="quiet">${change.changed?.join(", ") ?? ""}</bdi>` },
    { name: "Committed", kind: "fixed", part: 12, cell: (change) => html`<${Time} at=${change.committed_at} />` },
  ];
  return html`<${Table} caption="Changes" columns=${columns} rows=${items} rowKey=${(change) => change.position} />`;
}

function Of({ change }) {
  if (!change.id) return html`<span class="quiet">everything</span>`;
  if (change.source_id) return html`<span><${KeyLink} id=${`e:${change.source_id}`} name=${change.source_id} /> → <${KeyLink} id=${`e:${change.target_id}`} name=${change.target_id} /> <a class="quiet" href=${to("relationship", { id: change.id })}>details</a></span>`;
  return html`<${KeyLink} id=${`e:${change.id}`} name=${change.id} />`;
}
