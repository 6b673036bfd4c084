"""What a page's script finds out about itself: text that does not stand out from its ground."""

CONTRAST = r"""
() => {
  const parse = (c) => { const m = c.match(/rgba?\(([^)]+)\)/); if (!m) return null; const p = m[1].split(/[ ,\/]+/).filter(Boolean).map(Number); return [p[0], p[1], p[2], p[3] === undefined ? 1 : p[3]]; };
  const lum = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (node) => { for (let n = node; n; n = n.parentElement) { const c = parse(getComputedStyle(n).backgroundColor); if (c && c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const bad = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const t = walker.currentNode; if (!t.textContent.trim()) continue;
    const n = t.parentElement; if (!n.checkVisibility() || n.closest("[disabled], .visually-hidden, script, option, dialog:not([open]), svg.use")) continue;
    const s = getComputedStyle(n);
    const svg = n.closest("svg.mark.filled");
    const ink = parse(n.tagName === "text" ? s.fill : s.color);
    const back = svg ? parse(getComputedStyle(svg).color) : ground(n);
    if (!ink || !back) continue;
    const a = lum(ink), b = lum(back); const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(s.fontSize), big = size >= 24 || (size >= 18.66 && Number(s.fontWeight) >= 600);
    if (ratio < (big || n.closest('svg.mark') ? 3 : 4.5)) bad.set(`${n.tagName}.${n.className.baseVal ?? n.className}|${s.color}|${back.slice(0, 3)}`, `${ratio.toFixed(2)} ${t.textContent.trim().slice(0, 30)}`);
  }
  return [...bad].map(([k, v]) => `${v} <${k}>`);
}
"""
