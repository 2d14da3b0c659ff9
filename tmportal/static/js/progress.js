// Waits for a search that is not done yet and says what is going on: asks often at first, then more seldom, and never
// before the service has said that it is worth while.

import { call } from "./http.js";

const FIRST_MS = 150;
const MOST_MS = 2000;

export async function watch({ url, message, title }) {
  let pause = FIRST_MS;
  let told = 0;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(pause, told)));
    pause = Math.min(MOST_MS, pause * 1.25);
    try {
      const search = await call("GET", url);
      if (search.status === "done" || search.status === "failed") {
        location.reload();
        return;
      }
      title.textContent = search.status === "running" ? "Searching" : "Waiting";
      say(message, search.message);
      told = 1000 * search.ask_again;
    } catch (error) {
      say(message, error.message);
      if (!error.passing) return;
    }
  }
}

// A live region is read aloud on every change of its text, so only real changes are written.
function say(place, sentence) {
  if (place.textContent !== sentence) place.textContent = sentence;
}
