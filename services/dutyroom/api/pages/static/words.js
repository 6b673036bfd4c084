// Words, figures and spans, as words.py writes them on the server.

const block = (id) => JSON.parse(document.getElementById(id)?.textContent || "null");

export const facts = block("page-facts") || {};
const words = block("page-words") || {};
export const data = block;

export function t(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

export const THIN = "\u2009";

export function number(value, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "—";
  const size = Math.abs(value);
  const places = decimals ?? (Number.isInteger(value) || size >= 1000 ? 0 : size >= 10 ? 1 : 2);
  const [whole, part] = size.toFixed(places).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
  return (value < 0 ? "−" : "") + (part ? `${grouped}.${part}` : grouped);
}

const two = (n) => String(n).padStart(2, "0");

export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${two(Math.floor(s / 60))}:${two(s % 60)}`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))}`;
  return `${Math.floor(s / 86400)} d`;
}

const forms = {};
export function time(ms, options) {
  const key = JSON.stringify(options);
  forms[key] ??= new Intl.DateTimeFormat(facts.language === "zh-CN" ? "zh-CN" : "en-GB", { timeZone: facts.zone, hourCycle: "h23", ...options });
  return forms[key].format(new Date(ms));
}

export function make(tag, cls, text) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

const SHAPES = {
  1: "M12 1.2 22.8 12 12 22.8 1.2 12z",
  2: "M12 2 23 21.5H1z",
  3: "M4.5 2.5h15a2 2 0 0 1 2 2v15a2 2 0 0 1-2 2h-15a2 2 0 0 1-2-2v-15a2 2 0 0 1 2-2z",
  4: "M12 1.8a10.2 10.2 0 1 1 0 20.4 10.2 10.2 0 0 1 0-20.4z",
};

export function mark(priority, filled) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `mark p${priority} ${filled ? "filled" : "outline"}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", t(`priority.${priority}`));
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", SHAPES[priority]);
  const digit = document.createElementNS(svg.namespaceURI, "text");
  digit.setAttribute("x", "12");
  digit.setAttribute("y", priority === 2 ? "17.5" : "16");
  digit.textContent = priority;
  svg.append(path, digit);
  return svg;
}
