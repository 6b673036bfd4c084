// The stream: server clock, values, ages, counts, regions that are fetched anew, and the lost strip.

import { facts, t, duration, time } from "./words.js";

const WATCHDOG = 12000;
const handlers = { snapshot: [], tick: [], beat: [], state: [] };
let heard = performance.now();
let base = { server: facts.now, local: performance.now(), rate: 1 };
let lost = null; // not known before the stream came or failed
let received = null;

export const on = (event, handler) => handlers[event].push(handler);
export const now = () => base.server + (performance.now() - base.local) * base.rate;

function setClock(server) {
  const local = performance.now();
  const passed = local - base.local;
  if (passed > 4000) {
    const rate = (server - base.server) / passed; // a demo may run faster than the world
    base = { server, local, rate: Math.abs(rate - 1) < 0.1 || rate <= 0 ? 1 : rate };
  } else if (server > now() + 2000 || server < now() - 2000) base = { server, local, rate: base.rate };
}

function setLost(state) {
  if (state === lost) return;
  lost = state;
  document.documentElement.classList.toggle("lost", lost);
  const strip = document.getElementById("lost");
  if (strip) strip.hidden = !lost;
  handlers.state.forEach((h) => h(lost));
  if (!lost) refresh();
  tellLiveness();
}

function take(event, text) {
  if (event === "open") return;
  if (event === "error") { setLost(true); return; }
  heard = performance.now();
  const body = JSON.parse(text);
  setClock(body.t);
  received = body.received_at;
  setLost(false);
  const strip = document.getElementById("broker-lost");
  if (strip) strip.hidden = body.broker;
  if (body.values) body.values.forEach(showValue);
  if (body.counts) showCounts(body.counts);
  if (body.changed?.length) regionsOf(body.changed);
  handlers[event].forEach((h) => h(body));
}

const url = () => `/sites/${facts.site}/stream?lang=${facts.language}` + (facts.token ? `&token=${encodeURIComponent(facts.token)}` : "");

export function connect() {
  if (!facts.site || (!facts.csrf && !facts.token)) return;
  try {
    const worker = new SharedWorker("/static/worker.js", { name: "dutyroom" });
    worker.port.onmessage = ({ data }) => take(data.event, data.data);
    worker.port.start();
    worker.port.postMessage({ url: url() });
    addEventListener("pagehide", () => worker.port.postMessage({ bye: true }));
    addEventListener("pageshow", (e) => { if (e.persisted) location.reload(); });
  } catch {
    direct();
  }
  setInterval(eachSecond, 1000);
}

function direct() {
  const source = new EventSource(url());
  for (const name of ["snapshot", "tick", "beat"]) source.addEventListener(name, (e) => take(name, e.data));
  source.onerror = () => {
    take("error");
    if (source.readyState === EventSource.CLOSED) setTimeout(direct, 2000);
  };
}

// A stream that is refused may be a session that ended: then the way is to log in, not to wait.
let probed = 0;
async function probe() {
  if (!lost || facts.token || performance.now() - probed < 5000) return;
  probed = performance.now();
  try {
    const answer = await fetch(`/api/v1/sites/${facts.site}/counts`, { headers: { accept: "application/json" } });
    if (answer.status === 401) location.reload();
  } catch { /* not there yet */ }
}

function eachSecond() {
  const silent = performance.now() - heard;
  if (silent > WATCHDOG) setLost(true);
  if (lost && silent > 2000) probe();
  const age = document.getElementById("lost-age");
  if (age && lost) age.textContent = duration(silent);
  const clock = document.getElementById("clock");
  if (clock) clock.textContent = time(now(), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  showAges();
  tellLiveness();
}

function tellLiveness() {
  const place = document.getElementById("liveness");
  if (!place) return;
  if (lost === null) return; // the page itself says that it is connecting
  if (lost) place.textContent = t("js.lost");
  else if (received === null) place.textContent = t("js.no_data");
  else {
    const age = now() - received;
    place.textContent = age < 60000 ? t("js.live", { age: duration(age) }) : t("js.silent", { age: duration(age) });
  }
}

export function showAges(root = document) {
  const moment = now();
  for (const node of root.querySelectorAll("[data-age]")) node.textContent = duration(moment - Number(node.dataset.age));
  for (const node of root.querySelectorAll("[data-point]")) markStale(node, moment);
}

function markStale(node, moment) {
  const interval = Number(node.dataset.interval || 0);
  const at = Number(node.dataset.received || 0);
  const value = node.querySelector(".value") ?? node;
  value.classList.toggle("stale", !at || (interval > 0 && moment - at > 3 * interval));
}

function showValue(row) {
  for (const node of document.querySelectorAll(`[data-point="${row.point}"]`)) {
    (node.querySelector(".value") ?? node).textContent = row.text;
    node.dataset.received = row.received_at;
    const age = node.querySelector("[data-age]");
    if (age) age.dataset.age = Math.min(row.at, row.received_at); // a clock that is ahead makes nothing younger
    markStale(node, now());
  }
}

export function showCounts(counts) {
  for (const node of document.querySelectorAll("[data-count]")) {
    const value = counts[node.dataset.count];
    node.textContent = value ? value : "";
    if (node.dataset.count === "unacknowledged") node.dataset.worst = value ? counts.worst : 0;
  }
  for (const node of document.querySelectorAll("[data-tabcount]")) node.textContent = counts.tabs[node.dataset.tabcount] ?? 0;
  const state = document.getElementById("data-state");
  if (state) state.textContent = t("js.data_state", { quarantine: counts.quarantine, tickets: counts.tickets });
}

// A region is a part of the page that the server draws; it is fetched anew when its kinds change.
let pending = null;

function regionsOf(kinds) {
  const wanted = [...document.querySelectorAll("[data-region]")].some((node) => {
    const asked = (node.dataset.refresh || "").split(" ");
    return kinds.some((kind) => asked.includes(kind));
  });
  if (wanted) soon(200);
}

function soon(delay) {
  if (pending === null) pending = setTimeout(refresh, delay);
}

// While somebody types, holds a button down or answers a dialog, a region stays as it is; it is drawn a little later.
function busy(regions) {
  const at = document.activeElement;
  const typing = /INPUT|TEXTAREA|SELECT/.test(at?.tagName) && regions.some((node) => node.contains(at));
  return typing || document.querySelector("dialog[open]") || regions.some((node) => node.querySelector("button:active"));
}

export async function refresh() {
  clearTimeout(pending);
  pending = null;
  const regions = [...document.querySelectorAll("[data-region]")];
  if (!regions.length) return;
  if (busy(regions)) { soon(2000); return; }
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (busy(regions)) { soon(2000); return; } // somebody began to type while the answer was on its way
    for (const node of regions) {
      const next = fresh.querySelector(`[data-region="${node.dataset.region}"]`);
      if (!next) continue;
      const opened = [...node.querySelectorAll("details[open][data-keep]")].map((n) => n.dataset.keep);
      for (const kept of next.querySelectorAll("details[data-keep]")) kept.open = opened.includes(kept.dataset.keep);
      keepWritten(node, next);
      node.replaceChildren(...next.childNodes);
    }
    settle();
  } catch { /* the lost strip tells */ }
}

// What a person wrote into a form survives: the fields that are not as the server drew them, by what the form posts and
// whom it is about.
const about = (form) => [form.dataset.post, ...[...form.querySelectorAll("input[type=hidden]")].map((n) => n.value)].join(" ");

function changed(field) {
  if (!field.name || field.type === "hidden") return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.options) return field.selectedIndex !== Math.max(0, [...field.options].findIndex((o) => o.defaultSelected));
  return "defaultValue" in field && field.value !== field.defaultValue;
}

function keepWritten(old, next) {
  const forms = new Map([...next.querySelectorAll("form")].map((form) => [about(form), form]));
  for (const form of old.querySelectorAll("form")) {
    const fields = [...(forms.get(about(form))?.elements ?? [])];
    for (const field of [...form.elements].filter(changed)) {
      const same = fields.find((n) => n.name === field.name && n.type === field.type && (field.type !== "radio" || n.value === field.value));
      if (same) carry(field, same);
    }
  }
}

function carry(field, to) {
  if (field.type === "checkbox" || field.type === "radio") { to.checked = field.checked; return; }
  // a choice that is offered no longer is still what was chosen: the server says what it thinks of it
  if (to.options && ![...to.options].some((o) => o.value === field.value)) to.append(field.selectedOptions[0].cloneNode(true));
  to.value = field.value;
}

export function settle(root = document) {
  for (const node of root.querySelectorAll("[data-share]")) node.style.flexGrow = node.dataset.share;
  for (const list of root.querySelectorAll(".wall-alarms .rows")) { fold(list); folding.observe(list); }
  showAges(root);
  tellLiveness();
}

const folding = new ResizeObserver((entries) => entries.forEach(({ target }) => fold(target)));

// Rows that do not fit whole are counted instead of cut.
function fold(list) {
  const bottom = list.getBoundingClientRect().bottom + 1;
  let more = 0;
  for (const row of list.querySelectorAll(".wall-row")) row.hidden = false;
  for (const row of list.querySelectorAll(".wall-row")) {
    row.hidden = row.getBoundingClientRect().bottom > bottom;
    more += row.hidden;
  }
  const place = list.parentElement.querySelector("[data-more]");
  if (place) place.textContent = more ? place.dataset.more.replace("{count}", more) : "";
}

// The stream carries a unit meter's values only while a page asks for its device.
let watched = "";
let watching = null;
export function watch(device) {
  if (!facts.csrf || device === watched) return;
  watched = device;
  const say = () => fetch(`/sites/${facts.site}/watch/${encodeURIComponent(device)}`, { method: "POST", headers: { "x-csrf-token": facts.csrf } }).catch(() => {});
  clearInterval(watching);
  watching = setInterval(say, 30000);
  say();
}

export function start() {
  settle();
  document.querySelector(".side a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  if (facts.counts) showCounts(facts.counts);
  connect();
  for (const node of document.querySelectorAll("[data-region][data-every]")) setInterval(() => lost === false && refresh(), Number(node.dataset.every) * 1000);
  const device = document.querySelector("[data-watch]")?.dataset.watch;
  if (device) watch(device);
}
