// The keyboard of the results page.

const WRITES = "input, textarea, select, [contenteditable]";

export function keys({ grid, turn, report, vote, help, helpOpen, helpClose }) {
  helpOpen.addEventListener("click", () => help.showModal());
  helpClose.addEventListener("click", () => help.close());
  help.addEventListener("click", (event) => event.target === help && help.close());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches(WRITES)) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key.startsWith("Arrow")) {
      if (!grid.holdsFocus()) {
        if (event.target !== document.body && event.target.id !== "content") return;
        grid.focus(grid.current);
      } else {
        grid.move(event.key);
      }
    } else if (event.key === "Enter" && event.target.classList.contains("card-face")) {
      grid.onOpen(grid.items[grid.current]);
    } else if ((event.key === "+" || event.key === "-") && event.target.classList.contains("card-face")) {
      vote(grid.items[grid.current], event.key === "+" ? "like" : "unlike");
    } else if (event.key === "n") turn(1);
    else if (event.key === "p") turn(-1);
    else if (event.key === "r") report();
    else if (event.key === "?") help.showModal();
    else return;
    event.preventDefault();
  });
}
