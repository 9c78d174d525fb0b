// Many points on a canvas of our own: zoomed, panned, read by mouse, by touch and by keyboard.
import { inkOf } from "./chart.js";
import { looksOf, OUTLINES } from "../lib/types.js";

const MARGIN = 26;
const ZOOM_MAX = 400;
const NEAR_PX = 14;
const STEP = 1.5;

export class Scatter {
  constructor(canvas, { onRead, onOpen }) {
    Object.assign(this, { canvas, onRead, onOpen, points: [], types: [], hidden: new Set(), read: null });
    this.view = { x: 0, y: 0, scale: 1 };
    this.fit = { x: 0, y: 0, scale: 1 };
    this.fingers = new Map();
    this.frame = 0;
    this.stop = new AbortController();
    this.watch = new ResizeObserver(() => this.resized());
    this.watch.observe(canvas);
    this.listen();
  }

  close() {
    this.stop.abort();
    this.watch.disconnect();
    cancelAnimationFrame(this.frame);
  }

  show(points, types) {
    this.points = points;
    this.types = types;
    this.read = null;
    this.look();
    this.resized();
    this.home();
  }

  look() {
    this.marks = this.types.map((name) => ({ ...looksOf(name), path: new Path2D(OUTLINES[looksOf(name).mark]) }));
    this.draw();
  }

  hide(hidden) {
    this.hidden = hidden;
    this.index();
    this.draw();
  }

  // ---------------------------------------------------------------- where things are

  resized() {
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    Object.assign(this, { width, height, ratio });
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.measure();
    this.draw();
  }

  // The scale at which all points are in view.
  measure() {
    let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const [x, y] of this.points) {
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
    }
    if (left > right) return;
    const across = Math.max(right - left, 1e-9);
    const down = Math.max(bottom - top, 1e-9);
    const scale = Math.min((this.width - 2 * MARGIN) / across, (this.height - 2 * MARGIN) / down);
    this.fit = { x: (left + right) / 2, y: (top + bottom) / 2, scale };
    this.index();
  }

  index() {
    const seen = this.points.map((point, n) => [point[0], point[1], n]).filter(([, , n]) => !this.hidden.has(this.points[n][2]));
    this.tree = d3.quadtree(seen, ([x]) => x, ([, y]) => y);
  }

  get scale() {
    return this.fit.scale * this.view.scale;
  }

  toScreen(x, y) {
    return [(x - this.fit.x) * this.scale + this.width / 2 + this.view.x, (y - this.fit.y) * this.scale + this.height / 2 + this.view.y];
  }

  toData(x, y) {
    return [(x - this.width / 2 - this.view.x) / this.scale + this.fit.x, (y - this.height / 2 - this.view.y) / this.scale + this.fit.y];
  }

  home() {
    this.view = { x: 0, y: 0, scale: 1 };
    this.draw();
  }

  // Zooms so that what is under the pointer stays there.
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.max(0.5, Math.min(ZOOM_MAX, this.view.scale * factor));
    const by = scale / this.view.scale;
    const [cx, cy] = [x - this.width / 2, y - this.height / 2];
    this.view = { scale, x: cx - (cx - this.view.x) * by, y: cy - (cy - this.view.y) * by };
    this.draw();
  }

  pan(dx, dy) {
    this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
    this.draw();
  }

  // ---------------------------------------------------------------- drawing

  draw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  paint() {
    if (!this.width || !this.marks) return;
    const pen = this.canvas.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const crowd = this.points.length > 6000 ? 2.1 : this.points.length > 1200 ? 2.9 : 4;
    this.size = Math.min(8, crowd * Math.max(1, this.view.scale ** 0.33));
    this.paintPoints(pen);
    if (this.read !== null) this.paintRead(pen);
    this.canvas.dataset.drawn = String(this.points.length);
  }

  // Each type is drawn once into a stamp, and its points are copies of that.
  paintPoints(pen) {
    const stamps = this.marks.map((mark) => this.stampOf(mark));
    const half = stamps[0]?.half ?? 0;
    for (const [x, y, type] of this.points) {
      if (this.hidden.has(type)) continue;
      const [sx, sy] = this.toScreen(x, y);
      if (sx < -half || sy < -half || sx > this.width + half || sy > this.height + half) continue;
      const stamp = stamps[type];
      pen.drawImage(stamp.image, sx - half, sy - half, 2 * half, 2 * half);
    }
  }

  stampOf(mark) {
    const half = Math.ceil(this.size * 1.5) + 1;
    const image = new OffscreenCanvas(Math.ceil(2 * half * this.ratio), Math.ceil(2 * half * this.ratio));
    const pen = image.getContext("2d");
    pen.setTransform(this.size * this.ratio, 0, 0, this.size * this.ratio, half * this.ratio, half * this.ratio);
    pen.globalAlpha = this.points.length > 3000 ? 0.72 : 0.88;
    pen.fillStyle = inkOf(`hue${mark.hue}`);
    pen.fill(mark.path, "evenodd");
    return { image, half };
  }

  paintRead(pen) {
    const [x, y] = this.points[this.read];
    const [sx, sy] = this.toScreen(x, y);
    pen.lineWidth = 2;
    pen.strokeStyle = inkOf("ink");
    pen.beginPath();
    pen.arc(sx, sy, this.size + 5, 0, 2 * Math.PI);
    pen.stroke();
  }

  // ---------------------------------------------------------------- reading a point

  tell(n) {
    if (n === this.read) return;
    this.read = n;
    this.draw();
    if (n === null) return void this.onRead(null);
    const [x, y, type, id, name] = this.points[n];
    const [left, top] = this.toScreen(x, y);
    this.onRead({ id, name, type: this.types[type], left, top, width: this.width });
  }

  nearest(x, y) {
    const [dx, dy] = this.toData(x, y);
    const found = this.tree?.find(dx, dy, NEAR_PX / this.scale);
    return found ? found[2] : null;
  }

  // The nearest point in a direction, from the one that is read, or from the middle.
  walk(dx, dy) {
    const [fx, fy] = this.read === null ? this.toData(this.width / 2, this.height / 2) : this.points[this.read];
    let best = null;
    let least = Infinity;
    this.points.forEach(([x, y, type], n) => {
      if (n === this.read || this.hidden.has(type)) return;
      const along = (x - fx) * dx + (y - fy) * dy;
      const aside = Math.abs((x - fx) * dy) + Math.abs((y - fy) * dx);
      if (this.read !== null && along <= 0) return;
      const far = (this.read === null ? Math.abs(along) : along) + 1.6 * aside;
      if (far < least) [best, least] = [n, far];
    });
    if (best === null) return;
    this.bringIn(this.points[best]);
    this.tell(best);
  }

  bringIn([x, y]) {
    const [sx, sy] = this.toScreen(x, y);
    const isInside = sx > MARGIN && sy > MARGIN && sx < this.width - MARGIN && sy < this.height - MARGIN;
    if (!isInside) this.pan(this.width / 2 - sx, this.height / 2 - sy);
  }

  open() {
    if (this.read === null) return;
    const [, , type, id] = this.points[this.read];
    this.onOpen(id, this.types[type]);
  }

  // ---------------------------------------------------------------- hands

  listen() {
    const on = (name, act, options = {}) => this.canvas.addEventListener(name, act, { signal: this.stop.signal, ...options });
    on("wheel", (event) => this.wheeled(event), { passive: false });
    on("pointerdown", (event) => this.pressed(event));
    on("pointermove", (event) => this.moved(event));
    on("pointerup", (event) => this.lifted(event));
    on("pointercancel", (event) => this.fingers.delete(event.pointerId));
    on("pointerleave", (event) => event.pointerType === "mouse" && !this.fingers.size && document.activeElement !== this.canvas && this.tell(null));
    on("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY));
    on("keydown", (event) => this.typed(event));
  }

  wheeled(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * 0.0016), event.offsetX, event.offsetY);
  }

  pressed(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    this.travelled = 0;
  }

  moved(event) {
    const before = this.fingers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (!before) return this.tell(this.nearest(now.x, now.y));
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (other) {
      const apart = (one) => Math.hypot(one.x - other.x, one.y - other.y) || 1;
      this.zoom(apart(now) / apart(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (this.travelled > 4) this.pan(now.x - before.x, now.y - before.y);
    this.fingers.set(event.pointerId, now);
    return undefined;
  }

  lifted(event) {
    this.fingers.delete(event.pointerId);
    if (this.travelled > 4) return;
    const found = this.nearest(event.offsetX, event.offsetY);
    if (found === null) return void this.tell(null);
    // A finger has not hovered: its first touch reads, the next one opens.
    if (event.pointerType === "mouse" || found === this.read) {
      this.tell(found);
      this.open();
    } else this.tell(found);
  }

  typed(event) {
    const acts = {
      ArrowLeft: () => this.walk(-1, 0),
      ArrowRight: () => this.walk(1, 0),
      ArrowUp: () => this.walk(0, -1),
      ArrowDown: () => this.walk(0, 1),
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.home(),
      Escape: () => this.tell(null),
      Enter: () => this.open(),
    };
    const act = acts[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }
}
