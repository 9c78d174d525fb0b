// The frame of the console: where one can go, how the server stands, and the page that is shown.
import { h, html, render, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { access, askAnew, connection, forgetToken, freshness, get, giveToken, root } from "./lib/api.js";
import { count, seconds } from "./lib/format.js";
import { useResource } from "./lib/resource.js";
import { route, to } from "./lib/route.js";
import { noteStatus, standingOf, status } from "./lib/standing.js";
import { useStore } from "./lib/store.js";
import { learnTypes, schemaTypes } from "./lib/types.js";
import { Dot, Empty, Page } from "./lib/ui.js";
import { Audit, Audits } from "./pages/audits.js";
import { Changes } from "./pages/changes.js";
import { Entities } from "./pages/entities.js";
import { Entity, Relationship } from "./pages/entity.js";
import { Generations } from "./pages/generations.js";
import { Letters } from "./pages/letters.js";
import { VectorMap } from "./pages/map.js";
import { Overview } from "./pages/overview.js";
import { Search } from "./pages/search.js";
import { Settings } from "./pages/settings.js";

const STATUS_MS = 2000;

async function readSchema(signal) {
  const schema = await get("v1/schema", {}, { signal });
  const [entities, relationships] = [schema.entity_types, schema.relationship_types].map((each) => Object.keys(each).sort());
  schemaTypes.set({ entities, relationships });
  learnTypes(entities, { areAll: true });
}

const PAGES = {
  overview: Overview,
  search: Search,
  entities: Entities,
  entity: Entity,
  relationship: Relationship,
  map: VectorMap,
  changes: Changes,
  audits: Audits,
  audit: Audit,
  generations: Generations,
  "dead-letters": Letters,
  settings: Settings,
};

const NAV = [
  ["overview", "Overview", "M2 9h3l2-6 3 10 2-4h2"],
  ["search", "Search", "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.600 10.600 14 14"],
  ["entities", "Entities", "M2 3.500h12M2 8h12M2 12.500h12"],
  ["map", "Map", "M3 13h.01M6 7h.01M9.500 10.500h.01M12.500 4h.01M4 3.500h.01M13 12h.01M9 5.500h.01"],
  ["changes", "Changes", "M2 5h10M9 2l3 3-3 3M14 11H4M7 8l-3 3 3 3"],
  ["audits", "Audits", "M8 1.800 13.500 4v4c0 3.200-2.300 5.300-5.500 6.200C4.800 13.300 2.500 11.200 2.500 8V4ZM5.500 8l1.800 1.800L10.800 6.300"],
  ["generations", "Generations", "M2 2.500h5v11H2ZM9 2.500h5v11H9Z"],
  ["dead-letters", "Dead letters", "M2 3.500h12v9H2ZM2.300 4 8 8.500 13.700 4"],
  ["settings", "Settings", "M2 4.500h6M12 4.500h2M10 2.800v3.400M2 11.500h2M8 11.500h6M6 9.800v3.400"],
];
const HOME = { entity: "entities", relationship: "entities", audit: "audits" };

function Nav({ page, letters, onGo }) {
  const here = HOME[page] ?? page;
  return html`<nav aria-label="Pages"><ul>${NAV.map(
    ([name, title, path]) => html`<li key=${name}>
      <a href=${to(name)} aria-current=${name === here ? "page" : undefined} onClick=${onGo}>
        <svg viewBox="0 0 16 16" aria-hidden="true"><path d=${path} /></svg>${title}
        ${name === "dead-letters" && letters > 0 && html`<span class="tally" aria-label=${`${letters} waiting`}>${count(letters)}</span>`}
      </a></li>`,
  )}</ul></nav>`;
}

function Standing({ away }) {
  const found = useStore(status);
  const fresh = useStore(freshness);
  const { tone, word } = away ? { tone: "warn", word: "Server away" } : standingOf(found);
  return html`<section class="standing" aria-label="Standing">
    <p class="standing-line"><${Dot} tone=${tone} />${word}</p>
    <dl><dt>Frontier</dt><dd>${count(fresh?.frontier ?? found?.frontier)}</dd><dt>Lag</dt><dd>${seconds(fresh?.lag_s ?? found?.lag_s)}</dd></dl>
  </section>`;
}

// ------------------------------------------------------------------ light and dark

const SCHEMES = { auto: "light", light: "dark", dark: "auto" };
const KEPT_SCHEME = "slipstream.scheme";

function applied(scheme) {
  if (scheme === "auto") document.documentElement.removeAttribute("data-scheme");
  else document.documentElement.dataset.scheme = scheme;
  dispatchEvent(new Event("schemechange"));
  return scheme;
}

function Scheme() {
  const [scheme, setScheme] = useState(() => localStorage.getItem(KEPT_SCHEME) ?? "auto");
  useLayoutEffect(() => void applied(scheme), [scheme]);
  const next = () => {
    localStorage.setItem(KEPT_SCHEME, SCHEMES[scheme]);
    setScheme(SCHEMES[scheme]);
  };
  return html`<button type="button" class="small ghost" onClick=${next}>Colours: ${scheme}</button>`;
}

// ------------------------------------------------------------------ several graphs in one server

function Pkgs() {
  const { data } = useResource(async (signal) => (await get("v1/pkgs", {}, { signal })) ?? {}, []);
  const names = data?.pkgs ?? [];
  if (names.length < 2) return null;
  const home = new URL(root.pathname.replace(/\/pkgs\/[^/]+\/$/, "/"), root);
  const choose = (event) => location.assign(new URL(`pkgs/${encodeURIComponent(event.target.value)}/`, home));
  return html`<label class="pkgs"><span>Graph</span>
    <select onChange=${choose}>${names.map((name) => html`<option value=${name} selected=${name === data.current} key=${name}>${name}</option>`)}</select>
  </label>`;
}

// ------------------------------------------------------------------ a server that asks for a token

function SignIn({ refused }) {
  const [text, setText] = useState("");
  const field = useRef(null);
  useEffect(() => field.current?.focus(), []);
  const submit = (event) => {
    event.preventDefault();
    if (text.trim()) giveToken(text);
  };
  return html`<main id="main" class="sign-in" tabindex="-1">
    <h1>This server asks for a token</h1>
    <p class="quiet">It is kept for this tab only, and sent in a header: never in an address.</p>
    ${refused && html`<div class="trouble bad" role="alert"><p class="trouble-title">The token was not accepted</p><p>Check that it is whole, and that the server still has it in its token file.</p></div>`}
    <form onSubmit=${submit}>
      <label><span>Token</span><input ref=${field} type="password" autocomplete="off" spellcheck=${false} value=${text} onInput=${(e) => setText(e.target.value)} /></label>
      <button class="primary" disabled=${!text.trim()}>Open the console</button>
    </form>
  </main>`;
}

// ------------------------------------------------------------------ all of it

function Shown({ at }) {
  const shown = Object.hasOwn(PAGES, at.page) ? PAGES[at.page] : null;
  if (shown) return h(shown, { params: at.params, key: at.page });
  return html`<${Page} title="No such page"><${Empty} title="There is nothing at this address">Choose a page from the navigation.<//><//>`;
}

function Console() {
  const at = useStore(route);
  const away = useStore(connection) === "away";
  const found = useStore(status);
  const given = useStore(access);
  const [open, setOpen] = useState(false);
  const main = useRef(null);
  const first = useRef(true);
  useResource(async (signal) => noteStatus(await get("v1/status", { counts: false }, { signal })), [], { every_ms: STATUS_MS });
  useResource(readSchema, []);
  useEffect(() => {
    setOpen(false);
    if (first.current) first.current = false;
    else if (!main.current?.contains(document.activeElement) || document.activeElement === main.current) {
      // A page that has asked for the focus itself keeps it.
      main.current?.querySelector("h1")?.focus({ preventScroll: true });
    }
    scrollTo(0, 0);
  }, [at.page, at.params.id]);
  return html`<div class="frame">
    <div class=${`side ${open ? "open" : ""}`} role="banner">
      <div class="side-top">
        <a class="brand" href=${to("overview")}><svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" fill="#0b6770" /><path d="M7 11h11c5 0 5-5 1.500-5M7 16h18M7 21h13c5 0 5 5 1.500 5" fill="none" stroke="#fff" stroke-width="2.600" stroke-linecap="round" /></svg>Slipstream</a>
        <button type="button" class="menu small" aria-expanded=${open} onClick=${() => setOpen(!open)}>Menu</button>
      </div>
      <${Pkgs} />
      <${Nav} page=${at.page} letters=${found?.dead_letters ?? 0} onGo=${() => setOpen(false)} />
      <div class="side-foot">
        <${Standing} away=${away} />
        <div class="side-tools"><${Scheme} />${given === "given" && html`<button type="button" class="small ghost" onClick=${forgetToken}>Forget token</button>`}</div>
      </div>
    </div>
    <div class="page">
      <div role="status" aria-live="polite">${away && html`<p class="away"><${Dot} tone="warn" />The server is away. It is asked again by itself; what you see may be old.</p>`}</div>
      <main id="main" ref=${main} tabindex="-1"><${Shown} at=${at} /></main>
    </div>
  </div>`;
}

function Root() {
  const given = useStore(access);
  if (given === "needed" || given === "refused") return html`<${SignIn} refused=${given === "refused"} />`;
  return html`<${Console} />`;
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main")?.focus();
});
addEventListener("online", askAnew);
render(html`<${Root} />`, document.getElementById("app"));
