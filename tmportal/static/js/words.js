// Marks found by words: a card opens larger, and its image or its name can become the next query.

import { call } from "./http.js";

const byId = (id) => document.getElementById(id);
const dialog = byId("mark");
const cards = [...document.querySelectorAll(".concept-open")];
let index = -1;

const FACTS = [
  ["Found by", "ways"],
  ["Number", "mark"],
  ["Owner", "owner"],
  ["Nice classes", "nice"],
  ["Jurisdiction", "jurisdiction"],
  ["Status", "status"],
  ["Filed", "filed"],
];

function show(wanted) {
  index = wanted;
  const mark = cards[index].dataset;
  byId("mark-name").textContent = mark.name;
  byId("mark-image").src = mark.image;
  byId("mark-image").alt = mark.name;
  byId("mark-facts").replaceChildren(...FACTS.filter(([, key]) => mark[key]).flatMap(([word, key]) => fact(word, mark[key])));
  byId("mark-alike").href = `${dialog.dataset.names}?q=${encodeURIComponent(mark.name)}`;
  byId("mark-previous").disabled = index === 0;
  byId("mark-next").disabled = index === cards.length - 1;
  byId("mark-problem").hidden = true;
  if (!dialog.open) dialog.showModal();
}

function fact(word, value) {
  const term = document.createElement("dt");
  const text = document.createElement("dd");
  term.textContent = word;
  text.textContent = value;
  text.dir = "auto";
  return [term, text];
}

function step(by) {
  if (cards[index + by]) show(index + by);
}

async function search() {
  const button = byId("mark-search");
  button.disabled = true;
  try {
    const mark = cards[index].dataset;
    const image = await fetch(mark.image, { credentials: "same-origin" });
    if (!image.ok) throw new Error("The image of this mark is not on file: choose another mark.");
    const form = new FormData();
    form.append("image", await image.blob(), `${mark.name || mark.mark}.webp`);
    const made = await call("POST", dialog.dataset.searches, { form });
    location.assign(`${dialog.dataset.results}${made.id}/`);
  } catch (error) {
    const offline = error instanceof TypeError;
    byId("mark-problem").textContent = offline ? "The service cannot be reached just now. Try again in a moment." : error.message;
    byId("mark-problem").hidden = false;
    button.disabled = false;
  }
}

cards.forEach((card, at) => card.addEventListener("click", () => show(at)));
if (dialog) {
  byId("mark-close").addEventListener("click", () => dialog.close());
  byId("mark-previous").addEventListener("click", () => step(-1));
  byId("mark-next").addEventListener("click", () => step(1));
  byId("mark-search").addEventListener("click", search);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => cards[index]?.focus());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
  });
}
window.addEventListener("pageshow", () => dialog && (byId("mark-search").disabled = false));
