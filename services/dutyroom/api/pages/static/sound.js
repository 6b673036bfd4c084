// One tone a priority, repeated until acknowledged; a red strip while the browser blocks sound.

import { t } from "./words.js";
import { on } from "./live.js";

const TONES = { 1: [[880, 0.16], [660, 0.16], [880, 0.16], [660, 0.16]], 2: [[740, 0.2], [740, 0.2]], 3: [[520, 0.25]], 4: [] };
const EVERY = { 1: 2500, 2: 5000, 3: 15000, 4: 0 };
let context = null;
let worst = 0;
let mutedUntil = 0;
let last = -Infinity; // when a tone began: the first one does not wait
let off = localStorage.getItem("dutyroom.sound") === "off";

function play(priority) {
  let at = context.currentTime + 0.02;
  for (const [pitch, length] of TONES[priority]) {
    const tone = context.createOscillator();
    const level = context.createGain();
    tone.frequency.value = pitch;
    level.gain.setValueAtTime(0.0001, at);
    level.gain.exponentialRampToValueAtTime(0.25, at + 0.02);
    level.gain.exponentialRampToValueAtTime(0.0001, at + length);
    tone.connect(level).connect(context.destination);
    tone.start(at);
    tone.stop(at + length);
    at += length + 0.05;
  }
}

function each() {
  const blocked = !off && context.state !== "running";
  document.getElementById("sound-blocked").hidden = !(blocked && worst > 0 && worst < 4);
  showButton();
  if (off || blocked || !worst || !EVERY[worst] || performance.now() < mutedUntil) return;
  if (performance.now() - last >= EVERY[worst]) { last = performance.now(); play(worst); }
}

function showButton() {
  const button = document.getElementById("sound-button");
  if (!button) return;
  button.hidden = button.classList.contains("sound-ask") && !off;
  const left = Math.ceil((mutedUntil - performance.now()) / 1000);
  button.textContent = off ? t("js.sound_off") : left > 0 ? t("js.muted", { seconds: left }) : t("js.sound_on");
}

export function mute() {
  mutedUntil = performance.now() < mutedUntil ? 0 : performance.now() + 60000;
  showButton();
}

export function start() {
  if (!document.getElementById("sound-blocked")) return;
  context = new AudioContext();
  const wake = () => context.resume();
  addEventListener("pointerdown", wake);
  addEventListener("keydown", wake);
  document.getElementById("sound-unlock").addEventListener("click", wake);
  document.getElementById("sound-button")?.addEventListener("click", () => {
    off = !off;
    localStorage.setItem("dutyroom.sound", off ? "off" : "on");
    showButton();
  });
  const take = (body) => {
    if (!body.counts) return;
    if (body.counts.tone && (!worst || body.counts.tone < worst)) { last = -Infinity; mutedUntil = 0; } // a worse one breaks the mute
    worst = body.counts.tone;
  };
  on("snapshot", take);
  on("tick", take);
  setInterval(each, 500);
}
