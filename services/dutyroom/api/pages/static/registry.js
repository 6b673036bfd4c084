// The registry's forms: one device, and a table that is looked at first and taken then.

import { facts, make, t } from "./words.js";
import { toast } from "./forms.js";

async function ask(path, method, body) {
  const answer = await fetch(`/api/v1/sites/${facts.site}/registry/${path}`, {
    method,
    headers: { "content-type": "application/json", accept: "application/json", "accept-language": facts.language, "x-csrf-token": facts.csrf },
    body: JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok && !told.mistakes) throw new Error(told.detail || t("js.failed"));
  return { ok: answer.ok, ...told };
}

// ---- one device

const form = document.querySelector("form[data-registry]");
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  const device = form.dataset.registry || fields.id.trim();
  try {
    const told = await ask(encodeURIComponent(device), "PUT", { fields });
    if (told.ok) location.href = form.dataset.then + encodeURIComponent(device);
    else showBeside(told.mistakes);
  } catch (problem) { toast(problem.message, null, null, 8000); }
});

function showBeside(mistakes) {
  const list = form.querySelector("[data-mistakes]");
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  list.replaceChildren(...mistakes.map((one) => {
    form.elements[one.column]?.setAttribute("aria-invalid", "true");
    return make("li", "", one.title ? `${one.title}: ${one.message}` : one.message);
  }));
  list.hidden = false;
  form.querySelector("[aria-invalid]")?.focus();
}

// ---- a table

const upload = document.getElementById("import-form");
const said = document.getElementById("import-said");

upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  await send(event.submitter?.name !== "take");
});
upload?.addEventListener("change", () => {
  upload.elements.take.disabled = true;
  if (upload.elements.file.files.length) send(true);
});

async function send(check) {
  const file = upload.elements.file.files[0];
  if (!file) return;
  const body = { file: file.name, content: await base64(file), check, withdraw_missing: upload.elements.withdraw_missing.checked };
  upload.elements.take.disabled = true;
  try {
    const told = await ask("import", "POST", body);
    fill("import-wrong", told.ok ? [] : told.mistakes);
    fill("import-notes", told.notes || []);
    said.hidden = !told.ok;
    said.textContent = told.said || "";
    const nothing = told.ok && !told.added.length && !told.changed.length && !told.withdrawn.length;
    upload.elements.take.disabled = !told.ok || !check || nothing;
    if (told.ok && !check) toast(told.said, null, null, 8000);
  } catch (problem) { toast(problem.message, null, null, 8000); }
}

async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function fill(id, rows) {
  const place = document.getElementById(id);
  place.hidden = !rows.length;
  place.querySelector("tbody").replaceChildren(...rows.map((one) => {
    const row = make("tr");
    row.append(make("td", "num end dim", one.row ?? ""), make("td", "what", one.column), make("td", "more wrap", one.message));
    return row;
  }));
}
