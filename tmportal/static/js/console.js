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

// One stop for Tab instead of one per point: arrows move along a line, and between the lines of a run.
function byKeyboard(chart) {
  const frame = chart.closest(".scroll");
  frame.scrollLeft = frame.scrollWidth; // where it is narrow: the latest runs
  const points = [...chart.querySelectorAll(".point")];
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.setAttribute("aria-hidden", "true"); // the point's own label says the same
  tip.hidden = true;
  document.body.append(tip);
  const rove = (one) => {
    for (const point of points) point.setAttribute("tabindex", point === one ? "0" : "-1");
  };
  if (points.length) rove(points.filter((point) => point.dataset.series === points[0].dataset.series).at(-1));

  chart.addEventListener("focusin", (event) => {
    const one = event.target.closest(".point, .event");
    if (!one?.matches(":focus-visible")) return;
    if (one.matches(".point")) rove(one);
    tip.textContent = one.querySelector("title").textContent;
    tip.hidden = false;
    const box = (one.querySelector("circle:last-of-type, text") ?? one).getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), window.innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 60 ? above : box.bottom + 8}px`;
  });
  chart.addEventListener("focusout", () => (tip.hidden = true));
  window.addEventListener("scroll", () => (tip.hidden = true), { passive: true });

  chart.addEventListener("keydown", (event) => {
    const one = event.target.closest(".point");
    if (event.key === "Escape") tip.hidden = true;
    if (!one) return;
    const along = points.filter((point) => point.dataset.series === one.dataset.series);
    const across = points.filter((point) => point.dataset.run === one.dataset.run);
    const height = (point) => Number(point.querySelector("circle").getAttribute("cy"));
    across.sort((a, b) => height(a) - height(b));
    const next = {
      ArrowLeft: along[along.indexOf(one) - 1],
      ArrowRight: along[along.indexOf(one) + 1],
      ArrowUp: across[across.indexOf(one) - 1],
      ArrowDown: across[across.indexOf(one) + 1],
      Home: along[0],
      End: along.at(-1),
    };
    if (!(event.key in next)) return;
    event.preventDefault();
    next[event.key]?.focus();
  });
}
