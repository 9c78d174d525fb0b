// A map of the vectors: what means the like lies close together.
import { html, useCallback, useEffect, useRef, useState } from "../vendor/preact.js";
import { useScheme } from "../drawings/chart.js";
import { Scatter } from "../drawings/scatter.js";
import { get } from "../lib/api.js";
import { count, plural } from "../lib/format.js";
import { useResource } from "../lib/resource.js";
import { amend, keyPage } from "../lib/route.js";
import { useStore } from "../lib/store.js";
import { keyOf, learnTypes, Mark, TypeChoice, typesKnown } from "../lib/types.js";
import { Asked, Card, Empty, Page } from "../lib/ui.js";

const LIMIT = 20000;
const TIP_WIDTH = 270;

export function VectorMap({ params }) {
  const type = params.type ?? "";
  const found = useResource(
    async (signal) => {
      const map = await get("v1/map", { type, limit: LIMIT }, { signal });
      learnTypes(map.types);
      return map;
    },
    [type],
  );
  const actions = html`<label><span class="unseen">Type</span><${TypeChoice} value=${type} relationships=${true} onChoose=${(name) => amend("map", { type: name })} /></label>
    <button type="button" onClick=${found.reload}>Draw anew</button>`;
  return html`<${Page} title="Map" lead="What means the like lies close together. Distances between far-off groups say little." actions=${actions}>
    <${Card} className="map-card"><${Asked} from=${found} rows=${12}>${(map) => (map.points.length ? html`<${Points} map=${map} />` : html`<${Empty} title="There are no vectors to draw">They appear as soon as the index holds some.<//>`)}<//><//>
  <//>`;
}

function Points({ map }) {
  const canvas = useRef(null);
  const scatter = useRef(null);
  const [read, setRead] = useState(null);
  const [hidden, setHidden] = useState(new Set());
  const known = useStore(typesKnown);
  useEffect(() => {
    scatter.current = new Scatter(canvas.current, { onRead: setRead, onOpen: (id, type) => location.assign(keyPage(keyOf(id, type))) });
    return () => scatter.current.close();
  }, []);
  useEffect(() => {
    setHidden(new Set());
    setRead(null);
    scatter.current.hidden = new Set();
    scatter.current.show(map.points, map.types);
  }, [map]);
  useEffect(() => scatter.current.look(), [known]);
  useScheme(useCallback(() => scatter.current?.draw(), []));
  const toggle = (n) => {
    const next = new Set(hidden);
    if (!next.delete(n)) next.add(n);
    setHidden(next);
    setRead(null);
    scatter.current.hide(next);
  };
  const tally = map.types.map(() => 0);
  for (const [, , n] of map.points) tally[n] += 1;
  const told = map.total > LIMIT ? `A sample of ${count(map.points.length)} of ${plural(map.total, "vector")}.` : `All ${plural(map.points.length, "vector")}.`;
  return html`<div class="map-head"><div class="legend" role="group" aria-label="Types that are drawn">${map.types.map((name, n) => html`<button type="button" key=${name} aria-pressed=${!hidden.has(n)} onClick=${() => toggle(n)}><${Mark} type=${name} /><bdi>${name}</bdi> <span class="quiet">${count(tally[n])}</span></button>`)}</div></div>
    <div class="map-wrap">
      <canvas ref=${canvas} tabindex="0" role="application" aria-label=${`Map of vectors. ${told} Arrow keys go from point to point, Enter opens one, plus and minus zoom, zero shows all.`} aria-describedby="map-help"></canvas>
      <div class="map-tools"><button type="button" class="icon-only" aria-label="Zoom in" onClick=${() => scatter.current.zoom(1.5)}>+</button><button type="button" class="icon-only" aria-label="Zoom out" onClick=${() => scatter.current.zoom(1 / 1.5)}>−</button><button type="button" onClick=${() => scatter.current.home()}>All</button></div>
      ${read && html`<${Tip} read=${read} />`}
    </div>
    <p class="quiet map-help" id="map-help">${told} Scroll or pinch to zoom, drag to move, click a point to open it; or use the arrow keys, Enter, + − and 0.</p>
    <p class="unseen" role="status" aria-live="polite">${read ? `${read.name || read.id}, ${read.type}` : ""}</p>`;
}

function Tip({ read }) {
  const left = Math.max(6, Math.min(read.left + 14, read.width - TIP_WIDTH));
  return html`<div class="map-tip" aria-hidden="true" style=${{ transform: `translate(${left}px, ${Math.max(6, read.top + 14)}px)` }}><b><bdi>${read.name || read.id}</bdi></b><bdi>${read.type}</bdi></div>`;
}
