// The administrator's pages: asking before a roll-back, and charts by keyboard.

const dialog = document.getElementById("roll-back");
for (const button of dialog ? document.querySelectorAll("[data-roll-back]") : []) {
  button.setAttribute("role", "button");
  button.setAttribute("aria-haspopup", "dialog");
  button.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the link still opens in a new tab
    event.preventDefault();
    ask(button);
  });
  button.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    ask(button);
  });
}

function ask(button) {
  for (const place of dialog.querySelectorAll("[data-target]")) place.textContent = button.dataset.rollBack;
  dialog.querySelector("form").action = button.dataset.action;
  dialog.addEventListener("close", () => button.focus(), { once: true });
  dialog.showModal();
  dialog.querySelector("textarea").focus();
}

dialog?.querySelector("[data-close]").addEventListener("click", () => dialog.close());
dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close());

for (const chart of document.querySelectorAll(".chart.timeline")) byKeyboard(chart);

// One stop for Tab instead of one per point: arrows move along a line, between the lines of a run, and up to what
// went live there.
function byKeyboard(chart) {
  const frame = chart.closest(".scroll");
  frame.scrollLeft = frame.scrollWidth; // where it is narrow: the latest runs
  const points = [...chart.querySelectorAll(".point, .event")];
  const middle = (one) => Number((one.querySelector("circle") ?? one.querySelector("text")).getAttribute(one.matches(".event") ? "x" : "cx"));
  const nearest = (one, among) => among.toSorted((a, b) => Math.abs(middle(a) - middle(one)) - Math.abs(middle(b) - middle(one)))[0];
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.setAttribute("aria-hidden", "true"); // the point's own label says the same
  tip.hidden = true;
  let shown = null;
  document.body.append(tip);
  const rove = (one) => {
    for (const point of points) point.setAttribute("tabindex", point === one ? "0" : "-1");
  };
  rove(points.filter((point) => point.matches(".point")).at(-1));

  chart.addEventListener("focusin", (event) => {
    const one = event.target.closest(".point, .event");
    if (!one?.matches(":focus-visible")) return;
    rove(one);
    tip.textContent = one.querySelector("title").textContent;
    tip.hidden = false;
    shown = one;
    place();
  });
  chart.addEventListener("focusout", () => {
    tip.hidden = true;
    shown = null;
  });
  window.addEventListener("scroll", place, { passive: true, capture: true });

  function place() {
    if (!shown) return;
    const box = (shown.querySelector("circle:last-of-type, text") ?? shown).getBoundingClientRect();
    const right = window.innerWidth - tip.offsetWidth - 8;
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), right)}px`;
    tip.style.top = `${above > 60 ? above : box.bottom + 8}px`;
  }

  chart.addEventListener("keydown", (event) => {
    const one = event.target.closest(".point, .event");
    if (event.key === "Escape") tip.hidden = true;
    if (!one) return;
    const events = points.filter((point) => point.matches(".event"));
    const series = (point) => point.dataset.series ?? "event";
    const along = points.filter((point) => series(point) === series(one)).toSorted((a, b) => middle(a) - middle(b));
    const height = (point) => Number(point.querySelector("circle").getAttribute("cy"));
    const dots = points.filter((point) => point.matches(".point"));
    const run = one.dataset.run ?? nearest(one, dots)?.dataset.run;
    const across = dots.filter((point) => point.dataset.run === run).toSorted((a, b) => height(a) - height(b));
    const next = {
      ArrowLeft: along[along.indexOf(one) - 1],
      ArrowRight: along[along.indexOf(one) + 1],
      ArrowUp: across.indexOf(one) > 0 ? across[across.indexOf(one) - 1] : nearest(one, events),
      ArrowDown: across[across.indexOf(one) + 1],
      Home: along[0],
      End: along.at(-1),
    };
    if (!(event.key in next)) return;
    event.preventDefault();
    next[event.key]?.focus();
  });
}
