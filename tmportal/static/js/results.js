// The results page: progress while the search runs, then the grid and everything around it.

import { read } from "./bars.js";
import { conclude } from "./conclude.js";
import { openDetail } from "./detail.js";
import { Grid } from "./grid.js";
import { call } from "./http.js";
import { keys } from "./keys.js";
import { watch } from "./progress.js";
import { Refining } from "./refine.js";
import { savingOf } from "./saved.js";
import { Tally } from "./tally.js";

const root = document.getElementById("results");
const byId = (id) => document.getElementById(id);
const mayChange = "mayChange" in root.dataset;

if (root.dataset.status === "queued" || root.dataset.status === "running") {
  watch({ url: root.dataset.api, message: byId("message"), title: byId("waiting-title") });
} else if (byId("grid")) {
  start();
} else if (root.dataset.status === "done") {
  new Tally(root, byId("tally"), read("changes")).show();
  if (mayChange) conclude({ root, saver: { stored: async () => true } });
}

function start() {
  const tally = new Tally(root, byId("tally"), read("changes"));
  const saving = mayChange ? savingOf(root, { onState, onStored, onRefused: problem, onOther: otherWindow }) : null;
  const stateOf = (mark) => saving?.saver.state(mark) ?? "";
  const grid = new Grid({
    root: byId("grid"),
    query: byId("query-boxes"),
    mayChange,
    onToggle: toggle,
    onOpen: (item) => detail.open(item),
    onVote: vote,
    voteOf: (mark) => refining?.of(mark) ?? "",
    stateOf,
  });
  const detail = openDetail({ root, grid, mayChange, onToggle: toggle, stateOf, turn });
  const refining = mayChange ? new Refining({ root, onVotes: () => grid.paintVotes(), load: (wanted) => load(wanted ?? asked(), { focus: 0 }) }) : null;
  const conclusion = mayChange ? conclude({ root, saver: saving.saver }) : { changed() {} };
  let page = 1;
  let pages = 1;
  let loadFailed = false;

  function toggle(item) {
    if (!mayChange) return;
    const selected = !item.selected;
    problem("");
    saving.saver.save(item, item.selected, selected); // kept before it is shown
    shown(item.mark, item.preselected, selected);
    conclusion.changed();
  }

  function shown(mark, preselected, selected) {
    grid.set(mark, selected);
    tally.set(mark, preselected, selected);
    detail.refresh();
  }

  function onState(mark, state) {
    grid.saveState(mark, state);
    detail.saveState(mark, state);
  }

  function onStored(mark, preselected, selected) {
    const item = grid.item(mark);
    if (item) item.change = saving.saver.known.get(mark).change;
    shown(mark, preselected, selected);
  }

  // Another window of this browser has changed a mark of this search.
  function otherWindow(mark, entry) {
    shown(mark, entry.preselected, entry.selected);
    conclusion.changed();
  }

  // A page may have been read before the service heard the newest words.
  function newest(item) {
    const known = saving?.saver.known.get(item.mark);
    const held = known && known.change >= item.change ? { ...item, ...known } : item;
    return { ...held, selected: saving?.saver.unsaved(item.mark) ?? held.selected };
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
      const answer = refining?.on ? await refining.fetch(wanted) : await call("GET", `${root.dataset.results}?page=${wanted}`);
      page = answer.page;
      pages = answer.pages;
      grid.fill(answer.results.map(newest));
      byId("where").textContent = `Page ${page} of ${pages}`;
      byId("previous").disabled = page <= 1;
      byId("next").disabled = page >= pages;
      byId("pager").hidden = pages < 2;
      if (loadFailed) problem("");
      loadFailed = false;
      if (focus !== null) {
        grid.focus(focus < 0 ? answer.results.length + focus : focus);
        window.scrollTo({ top: 0 });
      }
      return true;
    } catch (error) {
      problem(error.message);
      loadFailed = true;
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
  keys({ grid, turn, report: () => byId("make-report")?.click(), vote, help: byId("help"), helpOpen: byId("help-open"), helpClose: byId("help-close") });
  tally.show();
  saving?.waiting().forEach(([mark, entry]) => tally.set(mark, entry.preselected, entry.selected));
  saving?.saver.retry();
  load(asked()).then((shown) => {
    if (!shown && asked() > 1) load(1); // an address from before the search was shorter
  });
}
