// An entity and what stands around it, as a drawing that is walked by mouse and keyboard: each node is a link.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { to } from "../lib/route.js";
import { useStore } from "../lib/store.js";
import { looksOf, OUTLINES, typesKnown } from "../lib/types.js";

const PLACES_MAX = 2000;
const NAME_MAX = 20;
const EDGE_NAMES_MAX = 12;
const NARROW_PX = 480;
const RIM = 15;
const NARROW_NODES = 12;
const TICKS_AT_ONCE = 240;
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Where nodes stood, so that walking on moves the drawing instead of making another one.
let places = new Map();
let isWalking = false;

const cut = (text) => ([...text].length > NAME_MAX ? `${[...text].slice(0, NAME_MAX - 1).join("")}…` : text);

function modelOf(centre, rows) {
  const origin = places.get(centre.id) ?? { x: 0, y: 0 };
  const place = (id, n) => {
    const kept = places.get(id);
    const angle = n * 2.39996;
    const radius = 60 + 14 * Math.sqrt(n);
    return kept ? { x: kept.x - origin.x, y: kept.y - origin.y } : { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
  };
  const nodes = new Map([[centre.id, { ...centre, relations: [], isCentre: true, x: 0, y: 0, fx: 0, fy: 0 }]]);
  const links = new Map();
  for (const row of rows) {
    const { entity_id: id, entity_type: type, name, relationship_type, direction } = row;
    if (id === centre.id) continue;
    if (!nodes.has(id)) nodes.set(id, { id, type, name: name || id, relations: [], ...place(id, nodes.size) });
    nodes.get(id).relations.push(`${direction === "in" ? "←" : "→"} ${relationship_type}`);
    if (!links.has(id)) links.set(id, { source: centre.id, target: id, names: new Set(), isIn: direction === "in" });
    links.get(id).names.add(relationship_type);
  }
  places = new Map([...places].slice(-PLACES_MAX).map(([id, at]) => [id, { x: at.x - origin.x, y: at.y - origin.y }]));
  return { nodes: [...nodes.values()], links: [...links.values()] };
}

function remember(nodes) {
  for (const { id, x, y } of nodes) {
    places.delete(id);
    places.set(id, { x, y });
  }
}

function forcesOn({ nodes, links }, { width, height }) {
  const radius = Math.min(width, height) * (links.length > 10 ? 0.36 : 0.31);
  return d3
    .forceSimulation(nodes)
    .force("link", d3.forceLink(links).id((node) => node.id).distance(radius).strength(0.25))
    .force("charge", d3.forceManyBody().strength(-420).distanceMax(320))
    .force("apart", d3.forceCollide(links.length > 24 ? 36 : 48))
    .force("x", d3.forceX(0).strength(0.02))
    .force("y", d3.forceY(0).strength(0.02 + 0.05 * (width / height)))
    .stop();
}

function keepInside(nodes, { width, height }) {
  for (const node of nodes) {
    node.x = Math.max(-width / 2 + 58, Math.min(width / 2 - 58, node.x));
    node.y = Math.max(-height / 2 + 22, Math.min(height / 2 - 34, node.y));
  }
}

function useLayout(model, size) {
  const [, setTick] = useState(0);
  useEffect(() => {
    if (!size.width) return undefined;
    const simulation = forcesOn(model, size);
    const step = (ticks) => {
      for (let n = 0; n < ticks; n += 1) {
        simulation.tick();
        keepInside(model.nodes, size);
      }
      remember(model.nodes);
      setTick((n) => n + 1);
    };
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return void step(TICKS_AT_ONCE);
    let frame = 0;
    let done = 0;
    const go = () => {
      step(4);
      done += 4;
      if (done < TICKS_AT_ONCE) frame = requestAnimationFrame(go);
    };
    frame = requestAnimationFrame(go);
    return () => cancelAnimationFrame(frame);
  }, [model, size.width, size.height]);
}

function useSize(of) {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const watch = new ResizeObserver(([entry]) => setSize({ width: entry.contentRect.width, height: entry.contentRect.height }));
    watch.observe(of.current);
    return () => watch.disconnect();
  }, []);
  return size;
}

// The next node in a direction: the nearest one, where those off to the side count as farther away.
function nextTo(from, nodes, [dx, dy]) {
  let best = null;
  let least = Infinity;
  for (const node of nodes) {
    const along = (node.x - from.x) * dx + (node.y - from.y) * dy;
    const aside = Math.abs((node.x - from.x) * dy) + Math.abs((node.y - from.y) * dx);
    if (node === from || along <= 1) continue;
    if (along + 2 * aside < least) [best, least] = [node, along + 2 * aside];
  }
  return best;
}

export function Graph({ centre, rows }) {
  const drawing = useRef(null);
  const elements = useRef(new Map());
  const size = useSize(drawing);
  const isNarrow = size.width > 0 && size.width < NARROW_PX;
  const drawn = isNarrow ? rows.slice(0, NARROW_NODES) : rows;
  const model = useMemo(() => modelOf(centre, drawn), [centre.id, centre.name, centre.type, drawn.length]);
  useLayout(model, size);
  const { width, height } = size;
  useEffect(() => {
    const reached = elements.current.get(centre.id);
    if (!isWalking || !reached) return;
    reached.focus({ preventScroll: true });
    isWalking = false;
  }, [centre.id, width > 0]);
  const onKey = (node) => (event) => {
    const direction = DIRECTIONS[event.key];
    const next = direction && nextTo(node, model.nodes, direction);
    if (direction) event.preventDefault();
    if (next) elements.current.get(next.id)?.focus();
  };
  const keep = (id) => (element) => (element ? elements.current.set(id, element) : elements.current.delete(id));
  return html`<div class="drawing">
    <svg class="graph" ref=${drawing} viewBox=${`${-width / 2} ${-height / 2} ${width || 1} ${height || 1}`} role="group" aria-label="Neighbours as a drawing: arrow keys move between them, Enter walks to one">
      ${width > 0 && html`<${Edges} model=${model} isNarrow=${isNarrow} />${model.nodes.map((node) => html`<${Node} node=${node} key=${node.id} keep=${keep(node.id)} onKey=${onKey(node)} />`)}`}
    </svg>
    ${rows.length === 0 && html`<p class="drawing-note quiet">Nothing leads to it or away from it.</p>`}
  </div>
  ${drawn.length < rows.length && html`<p class="quiet under">${drawn.length} of ${rows.length} are drawn; the list has them all.</p>`}`;
}

function Edges({ model, isNarrow }) {
  const at = new Map(model.nodes.map((node) => [node.id, node]));
  const isNamed = !isNarrow && model.links.length <= EDGE_NAMES_MAX;
  return html`<g aria-hidden="true">${model.links.map((link) => {
    const target = at.get(link.target.id ?? link.target);
    const [a, b] = link.isIn ? [target, { x: 0, y: 0 }] : [{ x: 0, y: 0 }, target];
    const names = [...link.names];
    return html`<g key=${target.id}><path class="edge" d=${arrow(a, b)} />
      ${isNamed && html`<text class="edge-name" x=${target.x * 0.52} y=${target.y * 0.52}>${cut(names.length > 1 ? `${names[0]} +${names.length - 1}` : names[0])}</text>`}</g>`;
  })}</g>`;
}

// A line from the rim of one node to that of the other, with a small head.
function arrow(a, b) {
  const length = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const [ux, uy] = [(b.x - a.x) / length, (b.y - a.y) / length];
  const [x, y] = [b.x - ux * RIM, b.y - uy * RIM];
  return `M${a.x + ux * RIM} ${a.y + uy * RIM}L${x} ${y}M${x - ux * 7 - uy * 4} ${y - uy * 7 + ux * 4}L${x} ${y}L${x - ux * 7 + uy * 4} ${y - uy * 7 - ux * 4}`;
}

function Node({ node, keep, onKey }) {
  useStore(typesKnown);
  const looks = looksOf(node.type);
  const shown = cut(node.name);
  // What is seen is part of what is heard, so that a link can be called by it.
  const told = [shown, shown !== node.name && node.name, node.type, ...node.relations].filter(Boolean).join(", ");
  const walk = () => {
    isWalking = true;
  };
  return html`<a href=${to("entity", { id: node.id })} class=${node.isCentre ? "centre" : ""} aria-label=${told} aria-current=${node.isCentre ? "true" : undefined}
    transform=${`translate(${node.x} ${node.y})`} ref=${keep} onKeyDown=${onKey} onClick=${node.isCentre ? undefined : walk}>
    <title>${told}</title>
    <circle class="halo" r="15" />
    <path class=${`node-mark hue${looks.hue}`} transform=${`scale(${node.isCentre ? 9.5 : 7.5})`} d=${OUTLINES[looks.mark]} />
    <text class="node-name" y=${node.isCentre ? 31 : 27}>${shown}</text>
  </a>`;
}
