// Posting to the API: buttons and forms with data-post, a toast for what happened.

import { facts, t } from "./words.js";
import { refresh } from "./live.js";

export async function post(path, body = {}, method = "POST") {
  const answer = await fetch(`/api/v1/sites/${facts.site}/${path}`, {
    method,
    headers: { "content-type": "application/json", accept: "application/json", "accept-language": facts.language, "x-csrf-token": facts.csrf },
    body: method === "DELETE" ? undefined : JSON.stringify(body),
  });
  const told = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(told.detail || t("js.failed"));
  return told;
}

let fading = null;
export function toast(text, action, run, span = 5000) {
  const place = document.getElementById("toast");
  place.replaceChildren(document.createTextNode(text));
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = action;
    button.onclick = () => { place.hidden = true; run(); };
    place.append(button);
  }
  place.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { place.hidden = true; }, span);
}

export function ask(dialog) {
  const box = document.getElementById(dialog);
  const form = box.querySelector("form");
  form.reset();
  return new Promise((done) => {
    box.onclose = () => done(box.returnValue === "ok" ? Object.fromEntries(new FormData(form)) : null);
    box.returnValue = "";
    box.showModal();
    box.querySelector("input, textarea, select")?.focus();
  });
}

function valuesOf(form) {
  const body = {};
  for (const [name, value] of new FormData(form)) body[name] = value;
  for (const box of form.querySelectorAll("input[type=checkbox]")) body[box.name] = box.checked;
  for (const area of form.querySelectorAll("[data-list]")) body[area.name] = area.value.split(/[\n,]/).map((s) => s.trim()).filter(Boolean);
  for (const name of ["priority", "minutes"]) if (name in body) body[name] = Number(body[name]);
  return body;
}

async function send(node, body) {
  let path = node.dataset.post;
  for (const [name, value] of Object.entries(body)) path = path.replace(`{${name}}`, encodeURIComponent(value));
  try {
    const told = await post(path, body, node.dataset.method || "POST");
    if (node.dataset.then) { location.href = node.dataset.then.replace(/\{(\w+)\}/g, (_, name) => told[name]); return; }
    if (node.dataset.reveal) reveal(node.dataset.reveal, told);
    toast(t(node.dataset.done || "js.done"));
    node.reset?.();
    document.activeElement?.blur();
    document.querySelector("[data-region]") ? refresh() : location.reload();
  } catch (problem) { toast(problem.message, null, null, 8000); }
}

function reveal(id, told) {
  const place = document.getElementById(id);
  place.hidden = false;
  place.querySelector("output").textContent = told.url || told.token;
  place.scrollIntoView({ block: "center" });
}

export function start() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.post) return;
    event.preventDefault();
    send(form, valuesOf(form));
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-post]");
    if (button) {
      event.preventDefault();
      const given = button.dataset.ask ? await ask(button.dataset.ask) : {};
      if (given) send(button, { ...JSON.parse(button.dataset.body || "{}"), ...given });
      return;
    }
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, select")) location.href = row.dataset.href;
    const printer = event.target.closest("[data-print]");
    if (printer) print();
    const filler = event.target.closest("[data-fill]");
    if (filler) fill(filler);
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
}

function fill(button) {
  const form = document.getElementById(button.dataset.form);
  for (const [name, value] of Object.entries(JSON.parse(button.dataset.fill))) {
    const field = form.elements[name];
    if (field?.type === "checkbox") field.checked = value;
    else if (field) field.value = Array.isArray(value) ? value.join("\n") : value;
  }
  form.closest("details")?.setAttribute("open", "");
  form.scrollIntoView({ block: "center" });
  form.querySelector("input:not([type=hidden])")?.focus();
}
