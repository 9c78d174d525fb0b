// The parts that all pages are made of.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { Away } from "./api.js";
import { ago, when } from "./format.js";
import { keyPage } from "./route.js";

export function Page({ title, lead, actions, children }) {
  useEffect(() => {
    document.title = `${title} · Slipstream`;
  }, [title]);
  return html`<header class="page-head">
      <div class="page-title"><h1 tabindex="-1"><bdi>${title}</bdi></h1>${lead && html`<p class="lead">${lead}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}`;
}

let cards = 0;

export function Card({ title, aside, children, className = "", level = 2 }) {
  const id = useRef(null);
  id.current ??= `card${(cards += 1)}`;
  return html`<section class=${`card ${className}`} aria-labelledby=${title ? id.current : undefined}>
    ${title && html`<div class="card-head">${heading(level, id.current, title)}${aside && html`<div class="card-aside">${aside}</div>`}</div>`}
    ${children}
  </section>`;
}

function heading(level, id, title) {
  return level === 2 ? html`<h2 id=${id}>${title}</h2>` : html`<h3 id=${id}>${title}</h3>`;
}

export function Badge({ tone = "plain", children }) {
  return html`<span class=${`badge ${tone}`}>${children}</span>`;
}

export function Dot({ tone }) {
  return html`<span class=${`dot ${tone}`} aria-hidden="true"></span>`;
}

export function Fact({ name, value, unit, tone, title }) {
  return html`<div class="fact" title=${title}>
    <dt>${name}</dt>
    <dd class=${tone ?? ""}>${value}${unit && html`<small>${unit}</small>`}</dd>
  </div>`;
}

// A share as a bar; the figure stands beside it, so the bar itself is only for the eye.
export function Meter({ value, tone = "accent" }) {
  const width = `${Math.max(0, Math.min(1, value ?? 0)) * 100}%`;
  return html`<span class="meter" aria-hidden="true"><span class=${`meter-fill ${tone}`} style=${{ width }}></span></span>`;
}

export function Time({ at }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 10000);
    return () => clearInterval(timer);
  }, []);
  return at ? html`<time datetime=${at} title=${when(at)}>${ago(at)}</time>` : html`<span class="quiet">–</span>`;
}

export function KeyLink({ id, name }) {
  return html`<a class="key" href=${keyPage(id)}><bdi>${name || id}</bdi></a>`;
}

// ------------------------------------------------------------------ states

export function Loading({ rows = 3, label = "Loading" }) {
  const lines = Array.from({ length: rows }, (_, n) => html`<span class="bone" key=${n}></span>`);
  return html`<div class="loading" role="status" aria-label=${label}>${lines}</div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><p class="empty-title">${title}</p>${children && html`<p>${children}</p>`}</div>`;
}

export function Trouble({ error, retry, what = "This could not be read" }) {
  if (!error) return null;
  if (error instanceof Away) {
    return html`<div class="trouble warn" role="alert">
      <p class="trouble-title">The server is away</p><p>It is asked again by itself; what you see may be old.</p>
    </div>`;
  }
  return html`<div class="trouble bad" role="alert">
    <p class="trouble-title">${error.title || what}</p>
    <p class="breaks"><bdi>${error.detail || error.message}</bdi></p>
    ${error.field && html`<p>Field: <code>${error.field}</code></p>`}
    ${error.remedy && html`<p class="breaks"><b>What to do:</b> <bdi>${error.remedy}</bdi></p>`}
    ${(error.status || error.kind) && html`<p class="quiet">${error.kind} ${error.status ? `(${error.status})` : ""}</p>`}
    ${retry && html`<button type="button" class="small" onClick=${retry}>Try again</button>`}
  </div>`;
}

// Shows what was asked for as soon as it is there.
export function Asked({ from, rows = 3, what, children }) {
  if (from.error && from.data === undefined) return html`<${Trouble} error=${from.error} retry=${from.reload} what=${what} />`;
  if (from.data === undefined) return html`<${Loading} rows=${rows} />`;
  return html`${from.error && html`<${Trouble} error=${from.error} retry=${from.reload} what=${what} />`}${children(from.data)}`;
}

// ------------------------------------------------------------------ tables

export function Table({ caption, columns, rows, rowKey, empty = "Nothing here" }) {
  if (!rows.length) return html`<${Empty} title=${empty} />`;
  // With parts, columns share the width so, however long a text is. On a narrow page rows become blocks; the roles keep it a table for those who listen.
  const isShared = columns.some((c) => c.part);
  return html`<table role="table" class=${isShared ? "shared" : ""}>
    <caption class="unseen">${caption}</caption>
    ${isShared && html`<colgroup>${columns.map((c) => html`<col key=${c.name} style=${c.part ? { width: `${c.part}%` } : undefined} />`)}</colgroup>`}
    <thead role="rowgroup"><tr role="row">${columns.map(
      (c) => html`<th role="columnheader" scope="col" class=${c.kind ?? ""} key=${c.name}>${c.head ?? c.name}</th>`,
    )}</tr></thead>
    <tbody role="rowgroup">${rows.map(
      (row, n) => html`<tr role="row" key=${rowKey ? rowKey(row) : n}>${columns.map(
        (c) => html`<td role="cell" class=${c.kind ?? ""} data-label=${c.name} key=${c.name}>${c.cell(row)}</td>`,
      )}</tr>`,
    )}</tbody>
  </table>`;
}

export function MorePages({ list }) {
  if (!list.next) return null;
  return html`<div class="more">
    <${Trouble} error=${list.more.error} />
    <button type="button" disabled=${list.more.loading} onClick=${list.readMore}>${list.more.loading ? "Reading…" : "Show more"}</button>
  </div>`;
}

// ------------------------------------------------------------------ values

export function Value({ value }) {
  if (value === null || value === undefined) return html`<span class="quiet">none</span>`;
  if (typeof value === "boolean") return html`<span class="value-word">${value ? "true" : "false"}</span>`;
  if (typeof value === "number") return html`<span class="num">${String(value)}</span>`;
  if (typeof value === "string") return html`<bdi class="breaks prose">${value}</bdi>`;
  if (typeof value === "object" && typeof value.$datetime === "string") {
    return html`<time datetime=${value.$datetime}>${when(value.$datetime)}</time>`;
  }
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) {
    return html`<span class="chips">${value.map((each, n) => html`<span class="badge wrap" key=${n}><bdi>${String(each)}</bdi></span>`)}</span>`;
  }
  return html`<code class="breaks">${JSON.stringify(value, null, 1)}</code>`;
}

export function Pairs({ of, empty = "None" }) {
  const rows = Object.entries(of ?? {});
  if (!rows.length) return html`<p class="quiet">${empty}</p>`;
  return html`<dl class="pairs">${rows.map(
    ([name, value]) => html`<div key=${name}><dt><bdi>${name}</bdi></dt><dd><${Value} value=${value} /></dd></div>`,
  )}</dl>`;
}

export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      setDone(false); // a page that is not on a secure origin may not write there
    }
  };
  if (!navigator.clipboard) return null;
  return html`<button type="button" class="small ghost" onClick=${copy}><span aria-live="polite">${done ? "Copied" : label}</span></button>`;
}

// ------------------------------------------------------------------ dialogs

// Asks before something is done that can not be undone by going back.
export function Confirm({ title, verb, danger = false, disabled = false, busy, error, onConfirm, onClose, children }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown.showModal();
    return () => shown.close();
  }, []);
  const close = (event) => {
    event.preventDefault();
    if (!busy) onClose();
  };
  return html`<dialog ref=${dialog} onCancel=${close} aria-labelledby="confirm-title">
    <h2 id="confirm-title">${title}</h2>
    <div class="dialog-body">${children}</div>
    <${Trouble} error=${error} what="It was not done" />
    <div class="dialog-actions">
      <button type="button" onClick=${close} disabled=${busy}>Cancel</button>
      <button type="button" class=${danger ? "danger" : "primary"} disabled=${busy || disabled} onClick=${onConfirm}>${busy ? "Working…" : verb}</button>
    </div>
  </dialog>`;
}

// Told to those who listen rather than look.
export function Said({ children }) {
  return html`<p class="said" role="status" aria-live="polite">${children}</p>`;
}
