// The comparison: query and mark side by side, large, with the matching parts and the reasons.

import { niceTitles, percent, track, weights, wordOf } from "./bars.js";
import { drawBox } from "./boxes.js";

const words = { saving: "saving…", saved: "✓ saved", failed: "not saved yet" };

export function openDetail({ root, grid, mayChange, onToggle, stateOf, turn }) {
  const byId = (id) => document.getElementById(id);
  const dialog = byId("detail");
  const toggle = byId("detail-toggle");
  const querySize = [Number(root.dataset.width), Number(root.dataset.height)];
  let index = -1;

  const item = () => grid.items[index];

  function open(wanted) {
    index = grid.items.indexOf(wanted);
    fill();
    if (!dialog.open) dialog.showModal();
    (toggle ?? byId("detail-next")).focus();
  }

  function fill() {
    const one = item();
    if (!one) return;
    byId("detail-name").textContent = one.name || one.mark;
    byId("detail-rank").textContent = `rank ${one.rank}`;
    byId("detail-image").src = one.thumbnail;
    byId("detail-image").alt = one.name || one.mark;
    byId("detail-caption").textContent = `${one.name || one.mark} · ${one.mark}`;
    drawBox(byId("detail-query-boxes"), one.boxes?.[0], querySize);
    drawBox(byId("detail-mark-boxes"), one.boxes?.[1], one.size);
    byId("detail-boxes").textContent = one.boxes
      ? "The frames show the parts that match best."
      : "No part matches better than the marks as a whole.";
    byId("detail-score").textContent = percent(one.score, 1);
    byId("detail-why").replaceChildren(...Object.entries(one.similarities).map(why));
    byId("detail-facts").replaceChildren(...facts(one));
    byId("detail-saved").textContent = words[stateOf(one.mark)] ?? "";
    byId("detail-previous").disabled = index === 0 && !hasPage(-1);
    byId("detail-next").disabled = index === grid.items.length - 1 && !hasPage(1);
    refresh();
  }

  const hasPage = (step) => !byId(step < 0 ? "previous" : "next").disabled && !byId("pager").hidden;

  function refresh() {
    const one = item();
    if (!one || !toggle) return;
    toggle.textContent = one.selected ? "Remove from the selection" : "Add to the selection";
    toggle.classList.toggle("primary", !one.selected);
    toggle.setAttribute("aria-keyshortcuts", "Space");
    dialog.classList.toggle("is-selected", one.selected);
  }

  async function go(step) {
    if (index + step >= 0 && index + step < grid.items.length) index += step;
    else if (hasPage(step) && (await turn(step, step < 0 ? -1 : 0))) index = step < 0 ? grid.items.length - 1 : 0;
    else return;
    fill();
  }

  byId("detail-close").addEventListener("click", () => dialog.close());
  byId("detail-previous").addEventListener("click", () => go(-1));
  byId("detail-next").addEventListener("click", () => go(1));
  toggle?.addEventListener("click", () => onToggle(item()));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => grid.focus(index));
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") go(-1);
    else if (event.key === "ArrowRight") go(1);
    else if (event.key === " " && mayChange && event.target.tagName !== "BUTTON") onToggle(item());
    else return;
    event.preventDefault();
  });

  return {
    open,
    refresh,
    saveState(mark, state) {
      if (dialog.open && item()?.mark === mark) byId("detail-saved").textContent = words[state] ?? "";
    },
  };
}

function why([name, value]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = wordOf(name);
  const likeness = document.createElement("td");
  likeness.className = "likeness";
  const number = document.createElement("span");
  number.className = "number";
  number.textContent = value === null ? "not found in one of them" : percent(value);
  if (value !== null) likeness.append(track(name, value));
  likeness.append(number);
  const weight = document.createElement("td");
  weight.className = "n";
  weight.textContent = name in weights ? percent(100 * weights[name]) : "–";
  row.append(head, likeness, weight);
  return row;
}

function facts(one) {
  const classes = one.nice.map((number) => `${number} ${niceTitles[number] ?? ""}`.trim()).join(", ");
  const rows = [
    ["Number", one.mark],
    ["Owner", one.owner],
    ["Nice classes", classes],
    ["Jurisdiction", one.jurisdiction],
    ["Status", one.mark_status],
    ["Filed", one.filing_date],
  ];
  return rows
    .filter(([, value]) => value)
    .flatMap(([label, value]) => {
      const term = document.createElement("dt");
      const words = document.createElement("dd");
      term.textContent = label;
      words.textContent = value;
      return [term, words];
    });
}
