// The alarm desk: rows from the stream, keys, the detail panel, undo.

import { data, facts, t, make, mark, duration } from "./words.js";
import { on, now, showAges, watch } from "./live.js";
import { post, toast, ask } from "./forms.js";
import { mute } from "./sound.js";
import { show as chart } from "./chart.js";

const STRETCHES = 6; // shown of an alarm
const TABS = ["active", "returned", "shelved", "suppressed", "out_of_service"];
const given = data("desk-facts");
const rows = new Map();
let tab = given?.tab ?? "active";
let chosen = given?.chosen ?? null;
let asked_for = chosen; // by its address: it may be over, and then is in no list
let filter = "";
let undo = null;
let keysOff = localStorage.getItem("dutyroom.keys") === "off";
const place = (id) => document.getElementById(id);

const order = (a, b) => a.priority - b.priority || b.filled - a.filled || (a.tab === "returned") - (b.tab === "returned") || a.raised_at - b.raised_at;

function visible() {
  const wanted = filter.toLowerCase();
  return [...rows.values()].filter((r) => r.tab === tab && (!wanted || `${r.title} ${r.where} ${r.place} ${r.owner} ${r.number}`.toLowerCase().includes(wanted))).sort(order);
}

function rowNode(row) {
  const node = make("tr", `link${row.filled ? " unseen" : ""}${row.id === chosen ? " chosen" : ""}`);
  node.dataset.id = row.id;
  if (row.id === chosen) node.setAttribute("aria-selected", "true");
  const icon = make("td", "icon");
  icon.append(mark(row.priority, row.filled));
  const what = make("td", "what", row.title);
  if (row.test) what.append(" ", make("span", "tag", t("js.test")));
  if (row.first) what.append(" ", make("span", "tag", t("js.first")));
  if (row.chattering) what.append(" ", make("span", "tag", t("js.chattering")));
  if (row.disproved) what.append(" ", make("span", "tag", t("js.disproved")));
  if (row.late) what.append(" ", make("span", "tag", t("js.late")));
  const where = make("td", "more", row.where);
  where.title = row.place;
  const value = make("td", "wide dim");
  const words = make("span", "two-lines", row.value || row.text || row.place);
  if (row.affected) words.textContent += ` · ${t("js.affected", { count: row.affected })}`;
  value.append(words);
  const age = make("td", "num age end");
  const span = make("span", "", duration(now() - row.raised_at));
  span.dataset.age = row.raised_at;
  age.append(span);
  const owner = make("td", "wide", row.owner || "—");
  const state = make("td", "end2");
  state.append(make("span", row.undispatched ? "undispatched" : "dim", row.work));
  node.append(icon, what, where, value, age, owner, state);
  return node;
}

function draw() {
  const list = visible();
  if ((chosen === null || chosen !== asked_for) && !list.some((r) => r.id === chosen) && !place("desk").classList.contains("open")) chosen = list[0]?.id ?? null;
  place("alarm-rows").replaceChildren(...list.map(rowNode));
  place("alarm-table").hidden = !list.length;
  const none = place("alarm-none");
  none.hidden = list.length > 0;
  none.replaceChildren(make("strong", "", t(filter ? "js.none_found" : `js.none_${tab}`)), document.createTextNode(filter ? "" : t("js.none_hint")));
  for (const node of document.querySelectorAll("[data-tab]")) node.setAttribute("aria-selected", String(node.dataset.tab === tab));
  if (!matchMedia("(max-width: 760px)").matches || place("desk").classList.contains("open")) detail();
}

let shown = null;
let asked = 0;
async function detail(force = false) {
  if (chosen === null) {
    shown = null;
    place("detail").replaceChildren(make("div", "empty", t("js.nothing_chosen")));
    return;
  }
  const row = rows.get(chosen);
  const stamp = JSON.stringify([chosen, row]);
  if (!force && shown === stamp) return;
  shown = stamp;
  const ticket = ++asked;
  try {
    const answer = await fetch(`/api/v1/sites/${facts.site}/alarms/${chosen}`, { headers: { accept: "application/json" } });
    if (answer.ok && ticket === asked) drawDetail(await answer.json());
  } catch { shown = null; }
}

function fact(list, name, value) {
  if (!value) return;
  list.append(make("dt", "", name), make("dd", "", value));
}

// The value of this moment: the stream keeps it fresh, and hatched with its age when it is old.
function present(value) {
  const place = make("dd");
  place.dataset.point = value.point;
  place.dataset.received = value.received_at ?? "";
  place.dataset.interval = value.interval ?? "";
  const age = make("span", "dim small", "");
  if (value.at) age.dataset.age = value.at;
  place.append(make("span", `value${value.stale ? " stale" : ""}`, value.text), ` ${value.unit}　`, age);
  return place;
}

function button(action, key, primary, enabled) {
  const node = make("button", `button${primary ? " primary" : ""}`, t(`action.${action}`));
  node.type = "button";
  node.append(make("kbd", "", key));
  node.disabled = !enabled;
  node.onclick = () => act(action);
  return node;
}

function drawDetail(a) {
  const head = make("header");
  const back = make("button", "button back", t("js.back"));
  back.onclick = () => { place("desk").classList.remove("open"); };
  head.append(back, mark(a.priority, a.filled), make("h1", "", `${a.title}`));
  const later = revised(a);
  const where = make("p", "", "");
  const link = make("a", "strong", a.where);
  link.href = `/sites/${facts.site}/devices/${encodeURIComponent(a.device)}`;
  where.append(link, make("span", "dim", a.place ? `　${a.place}` : ""));
  const said = make("p", "", a.text === a.value ? "" : a.text);
  said.hidden = !said.textContent;
  const list = make("dl", "facts two");
  fact(list, t("js.raised"), a.time);
  fact(list, t("js.state"), a.state_text + (a.latched ? ` · ${t("js.latched")}` : ""));
  if (a.stretches.length > 1) {
    const held = make("dd");
    a.stretches.slice(0, STRETCHES).forEach((s) => held.append(make("div", "", s.text)));
    if (a.stretches.length > STRETCHES) held.append(make("div", "dim", t("js.more_stretches", { count: a.stretches.length - STRETCHES })));
    list.append(make("dt", "", t("js.stretches")), held);
  }
  fact(list, t("js.value"), a.value);
  if (a.now_value) list.append(make("dt", "", t("js.now")), present(a.now_value));
  fact(list, t("js.affects"), a.affected ? String(a.affected) : "");
  fact(list, t("js.owner"), a.owner);
  const buttons = make("div", "actions");
  const can = new Set(given.may ? a.can : []);
  if (can.has("reset")) buttons.append(button("reset", "R", true, true));
  else buttons.append(button("acknowledge", "A", true, can.has("acknowledge")));
  buttons.append(button("dispatch", "D", false, can.has("dispatch")));
  buttons.append(can.has("unshelve") ? button("unshelve", "S", false, true) : button("shelve", "S", false, can.has("shelve")));
  buttons.append(button("note", "N", false, can.has("note")));
  const parts = [head, ...later, where, said, list, buttons];
  if (a.advice.length) {
    const card = make("section", "card");
    const steps = make("ol", "steps");
    a.advice.forEach((step) => steps.append(make("li", "", step)));
    card.append(make("h2", "", t("js.first_steps")), steps);
    parts.push(card);
  }
  let canvas = null;
  if (a.chart) {
    const card = make("section", "card");
    const title = make("h2", "", `${a.chart.label}${a.chart.unit ? ` ${a.chart.unit}` : ""} · `);
    const hours = make("span", "", t("js.hours", { hours: a.chart.hours }));
    hours.dataset.hours = "";
    title.append(hours);
    canvas = make("div", "chart");
    card.append(title, canvas);
    parts.push(card);
  }
  if (a.ticket) {
    const card = make("section", "card");
    const to = make("a", "strong", a.number);
    to.href = `/sites/${facts.site}/tickets/${a.ticket}`;
    card.append(to, document.createTextNode("　"), make("span", a.undispatched ? "undispatched" : "dim", a.work));
    parts.push(card);
  }
  if (a.consequences.length) {
    const card = make("section", "card");
    card.append(make("h2", "", t("js.consequences", { count: a.consequences.length })));
    a.consequences.slice(0, 8).forEach((c) => card.append(make("p", "dim", `${c.where}　${c.title}`)));
    parts.push(card);
  }
  const past = make("section", "card");
  const history = make("div", "history");
  a.history.forEach((h) => {
    history.append(make("time", "", h.time), make("span", "", [h.event, h.actor, h.reason].filter(Boolean).join(" · ")));
  });
  past.append(make("h2", "", t("js.history")), history);
  parts.push(past);
  place("detail").replaceChildren(...parts);
  if (canvas) chart(canvas, a.chart);
  showAges(place("detail"));
  watch(a.device);
}

// What readings that came late have made of it.
function revised(a) {
  const line = make("p", "", "");
  if (a.merged_into) {
    const link = make("a", "strong", t("js.merged", { number: a.merged_into }));
    link.href = `?alarm=${a.merged_into}`;
    line.append(link);
  } else if (a.disproved) line.append(make("span", "tag", t("js.disproved")));
  else if (a.late) line.append(make("span", "tag", t("js.late")));
  return line.hasChildNodes() ? [line] : [];
}

async function act(action) {
  const row = rows.get(chosen);
  if (!row || !given.may) return;
  let body = {};
  if (action === "dispatch" || action === "shelve" || action === "note") {
    body = await ask(`dialog-${action}`);
    if (!body) return;
    if (body.minutes) body.minutes = Number(body.minutes);
  }
  try {
    const told = await post(`alarms/${row.id}/${action}`, body);
    take(told);
    if (action === "acknowledge") {
      undo = row.id;
      setTimeout(() => { if (undo === row.id) undo = null; }, 5000);
      toast(t("js.acknowledged", { what: `${row.title} · ${row.where}` }), `${t("js.undo")} U`, takeBack);
    } else toast(t(`js.did_${action}`));
    detail(true);
  } catch (problem) { toast(problem.message, null, null, 8000); }
}

async function takeBack() {
  if (undo === null) return;
  const id = undo;
  undo = null;
  try { take(await post(`alarms/${id}/unacknowledge`)); chosen = id; draw(); toast(t("js.taken_back")); } catch (problem) { toast(problem.message, null, null, 8000); }
}

function take(row) {
  if (row.tab === "ended") rows.delete(row.id);
  else rows.set(row.id, row);
  draw();
}

function move(step) {
  const list = visible();
  if (!list.length) return;
  const at = list.findIndex((r) => r.id === chosen);
  chosen = list[Math.min(list.length - 1, Math.max(0, at + step))].id;
  draw();
  document.querySelector(`tr[data-id="${chosen}"]`)?.scrollIntoView({ block: "nearest" });
}

function key(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (pressed === "x") { keysOff = !keysOff; localStorage.setItem("dutyroom.keys", keysOff ? "off" : "on"); toast(t(keysOff ? "js.keys_off" : "js.keys_on")); return; }
  if (keysOff && pressed.length === 1) return;
  const does = {
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    a: () => act(rows.get(chosen)?.can.includes("acknowledge") ? "acknowledge" : "none"), d: () => act("dispatch"), n: () => act("note"), m: mute, u: takeBack,
    s: () => act(rows.get(chosen)?.can.includes("unshelve") ? "unshelve" : "shelve"),
    r: () => act("reset"), Enter: open, "/": () => place("filter").focus(), "?": () => place("dialog-keys").showModal(),
  }[pressed];
  const number = Number(pressed);
  if (does) { if (pressed === "a" && !rows.get(chosen)?.can.includes("acknowledge")) return; event.preventDefault(); does(); }
  else if (number >= 1 && number <= TABS.length) { tab = TABS[number - 1]; draw(); }
}

function open() {
  const row = rows.get(chosen);
  if (row) location.href = row.ticket ? `/sites/${facts.site}/tickets/${row.ticket}` : `/sites/${facts.site}/devices/${encodeURIComponent(row.device)}`;
}

function announce(fresh) {
  const loud = fresh.filter((r) => r.tab === "active" && r.filled);
  if (loud.length) place("announce").textContent = loud.slice(0, 3).map((r) => `${t(`priority.${r.priority}`)} ${r.title} ${r.where}`).join("; ");
}

export function start() {
  if (!place("desk")) return;
  (data("desk-rows") || []).forEach((row) => rows.set(row.id, row));
  on("snapshot", (body) => { rows.clear(); body.alarms.forEach((r) => rows.set(r.id, r)); draw(); });
  on("tick", (body) => {
    const fresh = body.alarms.filter((r) => !rows.has(r.id));
    body.alarms.forEach((r) => rows.set(r.id, r));
    body.gone.forEach((id) => rows.delete(id));
    if (body.alarms.length || body.gone.length) draw();
    announce(fresh);
  });
  place("filter").addEventListener("input", (e) => { filter = e.target.value; draw(); });
  place("alarm-rows").addEventListener("click", (e) => {
    const node = e.target.closest("tr");
    if (!node) return;
    chosen = Number(node.dataset.id);
    asked_for = null;
    if (matchMedia("(max-width: 760px)").matches) place("desk").classList.add("open");
    draw();
  });
  document.querySelectorAll("[data-tab]").forEach((node) => node.addEventListener("click", () => { tab = node.dataset.tab; draw(); }));
  document.addEventListener("keydown", key);
  draw();
  showAges();
}
