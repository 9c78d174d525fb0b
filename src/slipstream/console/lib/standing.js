// How index and graph stand to each other, in a word and a colour, from the server's status.
import { count, plural, seconds } from "./format.js";
import { store } from "./store.js";

export const status = store(null); // the newest /v1/status without counts
export const history = []; // [seconds, lag] of this visit
const HISTORY_MAX = 300;

export function noteStatus(found) {
  status.set(found);
  if (found.lag_s === null || found.lag_s === undefined) return;
  history.push([Date.now() / 1000, found.lag_s]);
  if (history.length > HISTORY_MAX) history.shift();
}

export function standingOf(found) {
  if (!found) return { tone: "plain", word: "Asking…", told: "" };
  if (found.incident) return { tone: "bad", word: "Incident", told: told(found.incident) };
  if (found.halted) return { tone: "bad", word: "Halted", told: String(found.halted) };
  if (found.dead) return { tone: "bad", word: "Engine ended", told: String(found.dead) };
  if (found.outage) return { tone: "warn", word: "Waiting", told: String(found.outage) };
  if (found.frontier === null || found.frontier === undefined) {
    return { tone: "warn", word: "Unknown", told: Object.values(found.unknown ?? {})[0] ?? "the engine does not tell" };
  }
  const behind = found.lag_events ?? 0;
  const waiting = (found.pending ?? 0) + (found.retrying ?? 0);
  if (behind > 0 || (found.lag_s ?? 0) >= 0.1) {
    return { tone: found.lag_s > 30 ? "warn" : "good", word: "Catching up", told: `${plural(behind, "change")} behind, for ${seconds(found.lag_s)}` };
  }
  if (waiting > 0) return { tone: "good", word: "In step", told: `${count(waiting)} keys are worked on in the background.` };
  return { tone: "good", word: "In step", told: "The index reflects every commit." };
}

function told(incident) {
  return incident.line ?? incident.message ?? incident.why ?? incident.kind ?? "a person has to decide";
}
