// What takes longer than an answer may: it is asked about until it is done.
import { get, Problem } from "./api.js";

const WAIT_S = 10;
const ENDED = new Set(["done", "failed", "cancelled", "gone"]);

// Returns the result of a call that was answered at once, or with a request to follow.
export async function followed(answer, onState = () => {}) {
  const id = answer?.request?.id ?? (typeof answer?.request === "string" ? answer.request : answer?.state ? answer.id : null);
  if (!id) return answer;
  for (;;) {
    const now = await get(`v1/requests/${encodeURIComponent(id)}`, { wait_s: WAIT_S });
    onState(now);
    if (!ENDED.has(now.state)) continue;
    if (now.state === "done") return now.result ?? now;
    throw new Problem({ title: `The request was ${now.state}`, detail: "no reason is known", ...told(now.error) }, 0);
  }
}

function told(error) {
  return typeof error === "string" ? { detail: error } : (error ?? {});
}
