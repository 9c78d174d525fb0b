// The way to the server: calls, the token, what went wrong, and whether the server is there at all.
import { store } from "./store.js";

const KEPT_TOKEN = "slipstream.token";
const PROBE_MS = [500, 1000, 2000, 4000];
export const root = new URL(".", document.baseURI.split("#")[0]);

let token = sessionStorage.getItem(KEPT_TOKEN) ?? "";

export const access = store(token ? "given" : "open"); // open | given | needed | refused
export const connection = store("here"); // here | away
export const freshness = store(null); // what the newest answer said of itself
export const epoch = store(0); // grows when everything has to be asked anew

export function giveToken(text) {
  token = text.trim();
  sessionStorage.setItem(KEPT_TOKEN, token);
  access.set("given");
  askAnew();
}

export function forgetToken() {
  token = "";
  sessionStorage.removeItem(KEPT_TOKEN);
  access.set("needed");
}

export function askAnew() {
  epoch.set(epoch.get() + 1);
}

export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `the server answered ${status}`);
    this.status = status;
    this.title = body.title || "";
    this.detail = body.detail || "";
    this.remedy = body.remedy || "";
    this.field = body.field || "";
    this.kind = body.class || "";
    this.body = body;
  }
}

export class Away extends Error {
  constructor() {
    super("the server does not answer");
  }
}

export const isAbort = (error) => error?.name === "AbortError";

export function get(path, params, options = {}) {
  return call("GET", path, { params, ...options });
}

export function post(path, body = {}, options = {}) {
  return call("POST", path, { body, ...options });
}

async function call(method, path, { params, body, signal } = {}) {
  const response = await open(method, path, { params, body, signal });
  const text = await response.text().catch((error) => failed(error));
  return text ? JSON.parse(text) : null;
}

export async function open(method, path, { params, body, signal, headers = {} } = {}) {
  const url = new URL(path, root);
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
  }
  const sent = { Accept: "application/json", ...headers };
  if (token) sent.Authorization = `Bearer ${token}`;
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const request = { method, headers: sent, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  if (body !== undefined) request.body = JSON.stringify(body);
  const response = await fetch(url, request).catch((error) => failed(error));
  if (connection.get() === "away") connection.set("here");
  note(response.headers);
  if (response.ok) return response;
  throw await problemOf(response);
}

function failed(error) {
  if (isAbort(error)) throw error;
  goneAway();
  throw new Away();
}

async function problemOf(response) {
  if (response.status === 401) access.set(token ? "refused" : "needed");
  const text = await response.text().catch(() => "");
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    body = { title: response.statusText, detail: text.slice(0, 500) };
  }
  return new Problem(body ?? {}, response.status);
}

function note(headers) {
  const frontier = headers.get("Slipstream-Frontier");
  if (frontier === null) return;
  const degraded = (headers.get("Slipstream-Degraded") ?? "").split(",").map((each) => each.trim());
  const lag = headers.get("Slipstream-Lag");
  freshness.set({
    frontier: Number(frontier),
    lag_s: lag === null || lag === "" ? null : Number(lag),
    degraded: degraded.filter(Boolean),
  });
}

// ------------------------------------------------------------------ a server that went away

function goneAway() {
  if (connection.get() === "away") return;
  connection.set("away");
  probe(0);
}

function probe(attempt) {
  setTimeout(async () => {
    if (connection.get() !== "away") return;
    try {
      await fetch(new URL("healthz", root), { cache: "no-store", credentials: "omit" });
    } catch {
      probe(attempt + 1);
      return;
    }
    connection.set("here");
    askAnew();
  }, PROBE_MS[Math.min(attempt, PROBE_MS.length - 1)]);
}
