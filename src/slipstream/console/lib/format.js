// Numbers, times and texts as people read them.
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const NOTHING = "–";

export function count(value) {
  return value === null || value === undefined ? NOTHING : whole.format(value);
}

export function brief(value) {
  return value === null || value === undefined ? NOTHING : value < 100000 ? whole.format(value) : short.format(value);
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// A share is never rounded up to 100 %: what is missing stays to be seen.
export function share(value, digits = 1) {
  if (value === null || value === undefined) return NOTHING;
  if (value >= 1) return "100 %";
  const scale = 10 ** (digits + 2);
  return `${(Math.floor(value * scale) / 10 ** digits).toFixed(digits)} %`;
}

export function seconds(value) {
  if (value === null || value === undefined) return NOTHING;
  if (value < 0.0005) return "0 ms";
  if (value < 1) return `${Math.max(1, Math.round(value * 1000))} ms`;
  if (value < 100) return `${value.toFixed(1)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} d`;
}

// On an axis each step differs from the next one.
export function tick(value) {
  return value === 0 ? "0" : value < 1 ? `${Number((value * 1000).toPrecision(3))} ms` : value < 60 ? `${Number(value.toPrecision(3))} s` : seconds(value);
}

export function ago(text, now = Date.now()) {
  const past = (now - Date.parse(text)) / 1000;
  return past < 2 ? "just now" : past < 0 ? "soon" : `${seconds(Math.floor(past))} ago`.replace(".0 s", " s");
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function when(text) {
  const at = Date.parse(text);
  return Number.isNaN(at) ? String(text) : moment.format(at);
}

export function decimal(value, digits = 3) {
  return value === null || value === undefined ? NOTHING : value.toFixed(digits);
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return NOTHING;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  for (; bytes >= 1000 && step < units.length - 1; step += 1) bytes /= 1000;
  return `${step ? bytes.toFixed(1) : bytes} ${units[step]}`;
}

// "near_duplicate" -> "near duplicate"
export const words = (name) => String(name).replaceAll("_", " ");
