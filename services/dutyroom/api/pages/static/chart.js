// The 24 h trend: gaps as gaps, the limit as a line, times by the site's zone, labels of states.

import { facts, t, time, number } from "./words.js";
import { now, on } from "./live.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const SPANS = [0.25, 1, 3, 6, 12];
const COARSE = 2 * 3600000;
const REDRAW = 30000;
const drawn = new Map(); // place -> spec: what is redrawn as time goes on

async function load(spec) {
  const end = Math.ceil(now());
  const start = end - spec.hours * 3600000;
  const path = `/api/v1/sites/${facts.site}/points/${spec.point}`;
  const wide = spec.kind === "gauge" && spec.interval && spec.interval < 60000;
  const answer = await fetch(wide
    ? `${path}/buckets?start=${start}&end=${end}&width=${spec.hours * 5000}`
    : `${path}/readings?start=${start}&end=${end}&limit=20000`);
  if (!answer.ok) throw new Error(t("js.failed"));
  const body = await answer.json();
  return withGaps(body.at, wide ? body.mean : body.value, wide ? Math.max(spec.interval, spec.hours * 5000) : spec.interval, spec.kind, start, end);
}

function withGaps(at, values, interval, kind, start, end) {
  const xs = [];
  const ys = [];
  at.forEach((moment, i) => {
    const quiet = i && interval ? moment - at[i - 1] > 3.5 * interval && !coarse(at, i) : false;
    if (quiet) { xs.push((at[i - 1] + interval) / 1000); ys.push(null); }
    xs.push(moment / 1000);
    ys.push(values[i]);
  });
  if (kind === "state" && xs.length && !interval) { xs.push(end / 1000); ys.push(ys.at(-1)); }
  return { xs, ys, start, end };
}

// History that was recorded by the hour is a line, not a row of gaps: its steps are alike. An outage is one step.
function coarse(at, i) {
  const step = at[i] - at[i - 1];
  const alike = (other) => other > 0.8 * step && other < 1.25 * step;
  return step <= COARSE && (alike(at[i - 1] - at[i - 2]) || alike(at[i + 1] - at[i]));
}

// Readings without a neighbour on either side: a line cannot show them, a dot does.
function lonely(ys) {
  const alone = (v) => v === null || v === undefined;
  return ys.reduce((found, y, i) => { if (!alone(y) && alone(ys[i - 1]) && alone(ys[i + 1])) found.push(i); return found; }, []);
}

// A point that is new here is not squeezed against the right edge: the shortest span that holds all of it.
function shortened(series, hours) {
  const first = series.xs.find((x) => x * 1000 > series.start);
  const old = series.xs.length && series.xs[0] * 1000 <= series.start;
  if (old || first === undefined) return { ...series, hours };
  const needed = (series.end - first * 1000) / 3600000;
  const span = SPANS.find((h) => h >= needed && h < hours) ?? hours;
  return { ...series, start: series.end - span * 3600000, hours: span };
}

// As many as the finest tick needs, so that all of one axis look alike and no two are the same: 2.5, 5.0, 7.5.
export function decimals(ticks) {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
  const whole = (size) => Math.round(size) > 0 && Math.abs(size - Math.round(size)) < 1e-6;
  return [0, 1, 2, 3, 4, 5].find((n) => whole(step * 10 ** n)) ?? 6;
}

function draw(place, spec, { xs, ys, start, end, hours }) {
  place.replaceChildren();
  const told = place.closest(".card")?.querySelector("[data-hours]");
  if (told) told.textContent = hours < 1 ? t("js.minutes", { minutes: hours * 60 }) : t("js.hours", { hours });
  if (!xs.length) {
    const none = document.createElement("div");
    none.className = "nothing";
    none.textContent = t("js.no_readings");
    place.append(none);
    return;
  }
  const axis = { stroke: css("--ink-2"), font: `12px ${css("--face")}`, grid: { stroke: css("--faint"), width: 1 }, ticks: { show: false } };
  const state = spec.kind === "state";
  const limit = spec.limit;
  const options = {
    width: place.clientWidth,
    height: place.clientHeight,
    legend: { show: false },
    padding: [10, 22, 0, 0],
    cursor: { y: false },
    scales: {
      x: { time: true, min: start / 1000, max: end / 1000 },
      y: { range: (_, low, high) => span(low, high, limit, state) },
    },
    axes: [
      { ...axis, values: (_, ticks) => ticks.map((s) => time(s * 1000, { hour: "2-digit", minute: "2-digit" })), space: 80, size: 32 },
      { ...axis, size: state ? widest(Object.values(spec.labels)) : 56, values: (_, ticks) => ticks.map((v) => (state ? spec.labels[v] ?? (Number.isInteger(v) ? v : "") : number(v, decimals(ticks)))), incrs: state ? [1] : undefined },
    ],
    series: [
      {},
      { stroke: css("--accent"), width: 1.6, points: { show: true, size: 5, filter: () => lonely(ys) }, spanGaps: false, paths: state ? uPlot.paths.stepped({ align: 1 }) : undefined },
    ],
    hooks: { draw: [(plot) => drawLimit(plot, limit)], setCursor: [(plot) => tell(plot, place, spec)] },
  };
  const plot = new uPlot(options, [xs, ys], place);
  watchSize(place, plot);
}

// Room for the longest label of a state.
function widest(labels) {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = `12px ${css("--face")}`;
  return Math.ceil(Math.max(30, ...labels.map((label) => ruler.measureText(label).width))) + 18;
}

const plots = new WeakMap(); // place -> the plot that follows its size
const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => plots.get(target)?.setSize({ width: target.clientWidth, height: target.clientHeight })));

function watchSize(place, plot) {
  plots.set(place, plot);
  sizes.observe(place);
}

function span(low, high, limit, state) {
  if (state) return [Math.min(0, low) - 0.2, Math.max(1, high) + 0.2];
  const all = limit === null || limit === undefined ? [low, high] : [low, high, limit];
  const bottom = Math.min(...all);
  const top = Math.max(...all);
  if (bottom === 0 && top === 0) return [0, 1]; // nothing flows: no axis below zero for it
  const room = (top - bottom || Math.abs(top) || 1) * 0.08;
  return [bottom >= 0 && bottom < top * 0.5 ? 0 : bottom - room, top + room];
}

function drawLimit(plot, limit) {
  if (limit === null || limit === undefined) return;
  const y = plot.valToPos(limit, "y", true);
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = css("--p2");
  ctx.fillStyle = css("--p2");
  ctx.setLineDash([6, 4]);
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.font = `${12 * devicePixelRatio}px ${css("--face")}`;
  ctx.textAlign = "right";
  const above = y - 6 * devicePixelRatio > bbox.top + 12 * devicePixelRatio;
  ctx.textBaseline = above ? "bottom" : "top";
  ctx.fillText(t("js.limit", { value: brief(limit) }), bbox.left + bbox.width - 6 * devicePixelRatio, y + (above ? -4 : 4) * devicePixelRatio);
  ctx.restore();
}

function tell(plot, place, spec) {
  const out = document.getElementById(place.dataset.reading);
  if (!out) return;
  const i = plot.cursor.idx;
  const value = i === null || i === undefined ? null : plot.data[1][i];
  if (value === null || value === undefined) { out.textContent = ""; return; }
  const shown = spec.kind === "state" ? spec.labels[value] ?? value : `${number(value)} ${spec.unit}`;
  out.textContent = `${time(plot.data[0][i] * 1000, { day: "numeric", month: "numeric", hour: "2-digit", minute: "2-digit" })}  ${shown}`;
}

const brief = (value) => number(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

// A shorter span is asked for again in finer steps, so that its curve does not end minutes ago.
async function fitted(spec) {
  const found = shortened(await load(spec), spec.hours);
  if (found.hours === spec.hours || spec.kind !== "gauge") return found;
  return shortened(await load({ ...spec, hours: found.hours }), found.hours);
}

export async function show(place, spec) {
  drawn.set(place, spec);
  try { draw(place, spec, await fitted(spec)); } catch (problem) { place.textContent = problem.message; }
}

async function again() {
  for (const [place, spec] of drawn) {
    if (!place.isConnected) { drawn.delete(place); continue; }
    if (document.hidden || place.matches(":hover")) continue;
    try { draw(place, spec, await fitted(spec)); } catch { /* the lost strip tells; the old curve stays */ }
  }
}

export function start() {
  setInterval(again, REDRAW);
  on("state", (lost) => { if (!lost) again(); });
  for (const place of document.querySelectorAll("[data-chart]")) show(place, JSON.parse(place.dataset.chart));
}
