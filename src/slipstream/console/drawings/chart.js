// Lines over time, drawn by uPlot in the page's own colours.
import { html, useEffect, useRef } from "../vendor/preact.js";

const AXIS_FONT = "12px system-ui, sans-serif";

// The colour behind a name of the style sheet, as the page shows it now.
export function inkOf(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export function useScheme(changed) {
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", changed);
    addEventListener("schemechange", changed);
    return () => {
      dark.removeEventListener("change", changed);
      removeEventListener("schemechange", changed);
    };
  }, [changed]);
}

export function Chart({ data, label, told, shown, floor = 0, ceiling, least = 0.01, span_s = 0, height = 176, points = false, tone = "accent" }) {
  const place = useRef(null);
  const plot = useRef(null);
  const build = useRef(null);
  build.current = () => {
    plot.current?.destroy();
    const ink = inkOf(tone);
    const axis = { stroke: inkOf("ink-soft"), font: AXIS_FONT, grid: { stroke: inkOf("line"), width: 1 }, ticks: { show: false } };
    const fill = ink.startsWith("rgb(") ? ink.replace("rgb(", "rgba(").replace(")", ", 0.1)") : undefined;
    const options = {
      width: Math.max(120, place.current.clientWidth),
      height,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      padding: [10, 10, 0, 0],
      scales: { x: { range: (_, low, high) => spread(low, high, span_s) }, y: { range: (_, low, high) => range(low, high, floor, ceiling, least) } },
      axes: [{ ...axis, space: 70, size: 32, grid: { show: false } }, { ...axis, size: 62, values: (_, ticks) => ticks.map(shown) }],
      series: [{}, { label, stroke: ink, width: 2, fill, points: { show: points, size: 6, fill: ink } }],
    };
    plot.current = new uPlot(options, led(data, span_s), place.current);
  };
  useEffect(() => {
    build.current();
    const watch = new ResizeObserver(() => plot.current?.setSize({ width: Math.max(120, place.current.clientWidth), height }));
    watch.observe(place.current);
    return () => {
      watch.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(led(data, span_s)), [data]);
  const again = useRef(() => plot.current && build.current()).current;
  useScheme(again);
  return html`<div class="chart" role="img" aria-label=${told} ref=${place}></div>`;
}

// One point alone has no width: it gets an empty one before it.
function led([times, values], span_s) {
  return times.length === 1 ? [[times[0] - (span_s || 3600), times[0]], [null, values[0]]] : [times, values];
}

// A visit that has just begun, or a single audit, has no width of its own.
function spread(low, high, span_s) {
  if (low === null || high === null) return [0, 1];
  return [Math.min(low, high - span_s), high];
}

function range(low, high, floor, ceiling, least) {
  if (low === null || high === null) return [floor, ceiling ?? 1];
  const top = ceiling ?? Math.max(high * 1.15, floor + least);
  return [Math.min(floor, low), top];
}
