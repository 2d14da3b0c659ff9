// "Make report" and "Done, no report". Nothing is concluded before every change is saved.

import { call } from "./http.js";

export function conclude({ root, saver }) {
  const byId = (id) => document.getElementById(id);
  const box = byId("concluded");
  const text = byId("concluded-text");
  const links = byId("report-links");
  const stale = byId("stale");
  const problem = byId("problem");
  const buttons = [byId("make-report"), byId("done")];
  let busy = false;

  async function run(button, waiting, work) {
    if (busy) return;
    busy = true;
    const words = button.textContent;
    for (const one of buttons) one.disabled = true;
    button.textContent = waiting;
    problem.hidden = true;
    try {
      if (!(await saver.stored())) throw new Error("Some changes are not saved yet: conclude when the line above says that they are.");
      await work();
      box.hidden = false;
      stale.hidden = true;
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      busy = false;
      for (const one of buttons) one.disabled = false;
      button.textContent = words;
    }
  }

  buttons[0].addEventListener("click", () =>
    run(buttons[0], "Making the report…", async () => {
      const report = await call("POST", root.dataset.report, { json: {} });
      byId("report-pdf").href = report.url;
      byId("report-csv").href = report.csv ?? `${report.url}?as=csv`;
      text.textContent = "The report is ready.";
      links.hidden = false;
      box.hidden = false; // what is hidden cannot take the focus
      byId("report-pdf").focus();
    }),
  );
  buttons[1].addEventListener("click", () =>
    run(buttons[1], "Saving…", async () => {
      await call("POST", root.dataset.done, { json: {} });
      text.textContent = "Done without a report. The search counts in the next tuning.";
    }),
  );

  return {
    changed() {
      if (!box.hidden) stale.hidden = false;
    },
  };
}
