// The search form: sends the image and the filters, then goes to the results.

import { dropzone, size } from "./dropzone.js";
import { call } from "./http.js";

const byId = (id) => document.getElementById(id);
const form = byId("search-form");
const go = byId("go");
const note = byId("go-note");
const problem = byId("form-error");
const limit = Number(form.dataset.maxBytes);

function complain(message) {
  problem.textContent = message;
  problem.hidden = !message;
}

const zone = dropzone({
  root: byId("drop"),
  input: byId("image"),
  ask: byId("drop-ask"),
  preview: byId("preview"),
  image: byId("preview-image"),
  name: byId("preview-name"),
  change: byId("change"),
  onChange(file) {
    const tooLarge = file && file.size > limit;
    complain(tooLarge ? `The image has ${size(file.size)}; at most ${size(limit)} are accepted. Send a smaller copy.` : "");
    go.disabled = !file || tooLarge;
    note.textContent = file ? "" : "Choose an image first.";
  },
});

// A browser that cannot show the image is no judge of it: the service says what is wrong with it.
byId("preview-image").addEventListener("error", () => {
  if (zone.file()) note.textContent = "This browser cannot show the file. Send it: the service says whether it can read it.";
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!zone.file()) {
    complain("Choose an image first.");
    byId("image").focus();
    return;
  }
  complain("");
  go.disabled = true;
  note.textContent = "Sending the image…";
  try {
    const search = await call("POST", form.action, { form: new FormData(form) });
    note.textContent = "Searching…";
    location.assign(`${form.dataset.results}${search.id}/`);
  } catch (error) {
    complain(error.message);
    note.textContent = "";
    go.disabled = false;
  }
});

// Coming back by the browser's "back" button must not find a dead button.
window.addEventListener("pageshow", () => {
  go.disabled = !zone.file();
  note.textContent = zone.file() ? "" : "Choose an image first.";
});

const hint = byId("nice-hint");
const hintText = hint.textContent;
const count = byId("nice-count");

function classes() {
  const chosen = form.querySelectorAll('input[name="nice"]:checked').length;
  count.textContent = chosen ? `${chosen} chosen` : "any";
}

for (const cell of form.querySelectorAll(".cell")) {
  const tell = () => (hint.textContent = cell.title);
  const hush = () => (hint.textContent = hintText);
  cell.addEventListener("pointerenter", tell);
  cell.addEventListener("pointerleave", hush);
  cell.addEventListener("focusin", tell);
  cell.addEventListener("focusout", hush);
  cell.addEventListener("change", classes);
}
classes();

byId("clear").addEventListener("click", (event) => {
  event.preventDefault(); // a plain reset would also drop the image, and restore filters filled in by the page
  for (const box of form.querySelectorAll('input[type="checkbox"]')) box.checked = false;
  for (const date of form.querySelectorAll('input[type="date"]')) date.value = "";
  form.querySelector('input[name="depth"][value="register"]').checked = true;
  classes();
});
