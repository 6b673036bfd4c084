// Before the first paint: the chosen theme, so that a night shift is not flashed at.
const wanted = localStorage.getItem("dutyroom.theme");
if (wanted === "night" || wanted === "day") document.documentElement.dataset.theme = wanted;
