// On other pages: changes of one's own that the service has not stored yet, and the way to the searches they wait for.

import { waiting } from "./outbox.js";

const place = document.getElementById("unsaved");
for (const [search, count] of waiting(place.dataset.user)) {
  const notice = document.createElement("p");
  notice.className = "notice warning";
  notice.setAttribute("role", "status");
  const link = document.createElement("a");
  link.href = `${place.dataset.results}${search}/`;
  link.textContent = "Open the search";
  notice.append(`${count} ${count === 1 ? "change is" : "changes are"} not saved yet. `, link, " to save.");
  place.append(notice);
}
