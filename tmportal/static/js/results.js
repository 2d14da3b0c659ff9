// The results page: progress while the search runs, then the grid and everything around it.

import { conclude } from "./conclude.js";
import { openDetail } from "./detail.js";
import { Grid } from "./grid.js";
import { call } from "./http.js";
import { keys } from "./keys.js";
import { watch } from "./progress.js";
import { Refining } from "./refine.js";
import { Saver } from "./saver.js";
import { Tally } from "./tally.js";

const root = document.getElementById("results");
const byId = (id) => document.getElementById(id);
const mayChange = "mayChange" in root.dataset;

if (root.dataset.status === "queued" || root.dataset.status === "running") {
  watch({ url: root.dataset.api, message: byId("message"), title: byId("waiting-title") });
} else if (byId("grid")) {
  start();
} else if (root.dataset.status === "done") {
  new Tally(root, byId("tally")).show();
  if (mayChange) conclude({ root, saver: { settled: async () => true } });
}

function start() {
  const tally = new Tally(root, byId("tally"));
  const saver = new Saver({
    urlOf: (mark) => `${root.dataset.results}${encodeURIComponent(mark)}/`,
    place: byId("saved"),
    onState: (mark, state) => {
      grid.saveState(mark, state);
      detail.saveState(mark, state);
    },
    onRefused: (mark, selected, message) => {
      grid.set(mark, selected);
      tally.moved(grid.item(mark), selected);
      detail.refresh();
      problem(message);
    },
  });
  const grid = new Grid({
    root: byId("grid"),
    query: byId("query-boxes"),
    mayChange,
    onToggle: toggle,
    onOpen: (item) => detail.open(item),
    onVote: vote,
    voteOf: (mark) => refining?.of(mark) ?? "",
  });
  const detail = openDetail({ root, grid, mayChange, onToggle: toggle, turn });
  const refining = mayChange ? new Refining({ root, onVotes: () => grid.paintVotes(), load: (wanted) => load(wanted ?? asked(), { focus: 0 }) }) : null;
  const conclusion = mayChange ? conclude({ root, saver }) : { changed() {} };
  let page = 1;
  let pages = 1;

  function toggle(item) {
    if (!mayChange) return;
    const selected = !item.selected;
    problem("");
    grid.set(item.mark, selected);
    tally.moved(item, selected);
    saver.save(item.mark, selected);
    conclusion.changed();
    detail.refresh();
  }

  function vote(item, kind) {
    if (item) refining?.vote(item.mark, kind);
  }

  function problem(message) {
    byId("problem").textContent = message;
    byId("problem").hidden = !message;
  }

  async function load(wanted, { focus = null } = {}) {
    byId("grid").setAttribute("aria-busy", "true");
    try {
      await saver.settled(); // what a page shows comes from the service: let it know everything first
      const answer = refining?.on ? await refining.fetch(wanted) : await call("GET", `${root.dataset.results}?page=${wanted}`);
      page = answer.page;
      pages = answer.pages;
      grid.fill(answer.results.map((item) => ({ ...item, selected: saver.unsaved(item.mark) ?? item.selected })));
      byId("where").textContent = `Page ${page} of ${pages}`;
      byId("previous").disabled = page <= 1;
      byId("next").disabled = page >= pages;
      byId("pager").hidden = pages < 2;
      problem("");
      if (focus !== null) {
        grid.focus(focus < 0 ? answer.results.length + focus : focus);
        window.scrollTo({ top: 0 });
      }
      return true;
    } catch (error) {
      problem(error.message);
      return false;
    } finally {
      byId("grid").setAttribute("aria-busy", "false");
    }
  }

  // step: +1 or -1. Returns whether another page is shown now.
  async function turn(step, focus = 0) {
    const wanted = page + step;
    if (wanted < 1 || wanted > pages || !(await load(wanted, { focus }))) return false;
    if (refining?.on) return true; // the address is that of the original list, which stays
    history.pushState({ page }, "", wanted === 1 ? location.pathname : `?page=${wanted}`);
    return true;
  }

  const asked = () => Math.max(1, Number.parseInt(new URLSearchParams(location.search).get("page") ?? "1", 10) || 1);
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  window.addEventListener("popstate", () => {
    refining?.leave();
    load(asked(), { focus: 0 });
  });
  window.addEventListener("beforeunload", (event) => {
    if (saver.pending) event.preventDefault();
  });
  keys({ grid, turn, report: () => byId("make-report")?.click(), vote, help: byId("help"), helpOpen: byId("help-open"), helpClose: byId("help-close") });
  tally.show();
  load(asked()).then((shown) => {
    if (!shown && asked() > 1) load(1); // an address from before the search was shorter
  });
}
