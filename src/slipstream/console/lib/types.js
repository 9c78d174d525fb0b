// Each entity type has a colour and a mark of its own, the same on every page.
import { store, useStore } from "./store.js";
import { html } from "../vendor/preact.js";

export const HUES = 10;
export const MARKS = ["circle", "square", "triangle", "diamond", "cross", "ring", "star", "bar"];

const UNKNOWN = { hue: HUES - 1, mark: "ring" };
const known = new Map();
export const typesKnown = store(0);
let isReady = false;

// First those of the schema, in the order of their names; whatever turns up later comes behind them.
export function learnTypes(names, { areAll = false } = {}) {
  isReady ||= areAll;
  if (!isReady) return;
  for (const name of [...new Set(names)].sort()) if (name && !known.has(name)) known.set(name, known.size);
  typesKnown.set(known.size);
}

// A hit or a point may be a relationship: its type tells.
export const schemaTypes = store({ entities: [], relationships: [] });

export function keyOf(id, type) {
  return `${schemaTypes.get().relationships.includes(type) ? "r" : "e"}:${id}`;
}

// The choice of a type: those of the schema, and the one that was asked for.
export function TypeChoice({ value, onChoose, relationships = false }) {
  const known = useStore(schemaTypes);
  const option = (name) => html`<option value=${name} selected=${name === value} key=${name}>${name}</option>`;
  const other = value && ![...known.entities, ...known.relationships].includes(value);
  return html`<select value=${value} onChange=${(event) => onChoose(event.target.value)}>
    <option value="" selected=${!value}>all types</option>
    ${known.entities.map(option)}
    ${relationships && known.relationships.length > 0 && html`<optgroup label="Relationships">${known.relationships.map(option)}</optgroup>`}
    ${other && option(value)}
  </select>`;
}

export function looksOf(type) {
  const at = known.get(type);
  if (at === undefined) return UNKNOWN;
  return { hue: at % HUES, mark: MARKS[(at + Math.floor(at / HUES)) % MARKS.length] };
}

// Outlines around 0,0 of about the size of a circle with radius 1.
export const OUTLINES = {
  circle: "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z",
  square: "M-.88-.88H.88V.88H-.88Z",
  triangle: "M0-1.15L1.05.8H-1.05Z",
  diamond: "M0-1.25L1.05 0L0 1.25L-1.05 0Z",
  cross: "M-.38-1.100H.38V-.38H1.100V.38H.38V1.100H-.38V.38H-1.100V-.38H-.38Z",
  ring: "M1.100 0A1.100 1.100 0 1 1-1.100 0A1.100 1.100 0 1 1 1.100 0ZM.5 0A.5.5 0 1 0-.5 0A.5.5 0 1 0 .5 0Z",
  star: "M0-1.300L.33-.42L1.240-.4L.52.170L.76 1.050L0 .52L-.76 1.050L-.52.170L-1.240-.4L-.33-.42Z",
  bar: "M-1.200-.48H1.200V.48H-1.200Z",
};

export function Mark({ type }) {
  useStore(typesKnown);
  const looks = looksOf(type);
  return html`<svg class=${`mark hue${looks.hue}`} viewBox="-1.5 -1.5 3 3" aria-hidden="true"><path d=${OUTLINES[looks.mark]} /></svg>`;
}

export function TypeName({ type }) {
  return type
    ? html`<span class="type"><${Mark} type=${type} /><bdi>${type}</bdi></span>`
    : html`<span class="quiet">no type</span>`;
}
