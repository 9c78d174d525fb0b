// Where in the console we are: the part of the address behind #, as a page and its parameters.
import { store } from "./store.js";

function parsed() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(2) : "";
  const [path, query = ""] = hash.split("?", 2);
  return { page: path || "overview", params: Object.fromEntries(new URLSearchParams(query)) };
}

export const route = store(parsed());

addEventListener("hashchange", () => {
  if (location.hash.startsWith("#/") || location.hash === "") route.set(parsed());
});

export function to(page, params = {}) {
  const kept = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(kept).toString();
  return `#/${page}${query ? `?${query}` : ""}`;
}

export function go(page, params) {
  location.hash = to(page, params);
}

// The address of what is shown now, without a step of its own in the browser's history.
export function amend(page, params) {
  history.replaceState(null, "", to(page, params));
  route.set(parsed());
}

export function keyPage(key) {
  const id = key.slice(2);
  return key.startsWith("r:") ? to("relationship", { id }) : to("entity", { id });
}
