// What every page starts.

import * as live from "./live.js";
import * as forms from "./forms.js";
import * as sound from "./sound.js";
import * as chart from "./chart.js";
import * as desk from "./desk.js";

forms.start();
chart.start();
desk.start();
sound.start();
live.start();

document.getElementById("theme-button")?.addEventListener("click", () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "night" ? "day" : "night";
  localStorage.setItem("dutyroom.theme", root.dataset.theme);
});
