// The page of one tuning run: progress while it works, then the way of one cluster through the tree.

import { call } from "./http.js";

const busy = document.getElementById("busy");
if (busy) follow();

async function follow() {
  const bar = document.getElementById("run-progress");
  const message = document.getElementById("run-message");
  const title = document.getElementById("busy-title");
  if (bar.ariaValueNow) bar.firstElementChild.style.width = `${bar.ariaValueNow}%`;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 700));
    try {
      const run = await call("GET", busy.dataset.state);
      if (run.state !== "queued" && run.state !== "running") {
        location.reload();
        return;
      }
      title.textContent = run.label.charAt(0).toUpperCase() + run.label.slice(1);
      if (message.textContent !== run.message) message.textContent = run.message;
      const known = run.progress > 0;
      bar.classList.toggle("unknown", !known);
      bar.firstElementChild.style.width = known ? `${Math.round(100 * run.progress)}%` : "";
      if (known) bar.setAttribute("aria-valuenow", String(Math.round(100 * run.progress)));
    } catch (error) {
      message.textContent = error.message;
      if (!error.passing) return;
    }
  }
}

const ways = document.getElementById("ways");
const tree = document.getElementById("tree");
ways?.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const chosen = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.way;
  for (const other of ways.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other.dataset.way === chosen));
  tree.classList.toggle("one-way", chosen !== null);
  for (const part of tree.querySelectorAll("[data-ways]")) {
    part.classList.toggle("lit", chosen !== null && part.dataset.ways.split("|").includes(chosen));
  }
});
