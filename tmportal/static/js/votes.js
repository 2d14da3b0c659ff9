// "More like this" and "less like this": two small buttons on a card.

const SVG = "http://www.w3.org/2000/svg";
const THUMB = "M7 11v9H4v-9zM7 11l3.6-7.6c1.6 0 2.5 1.1 2.2 2.7L12.2 9.5H18c1.4 0 2.3 1.2 2 2.5l-1.4 6.2A2.3 2.3 0 0 1 16.4 20H7";

export const KINDS = { like: "More like this", unlike: "Less like this" };

// onVote(kind) is called with "like" or "unlike"; paint(kind) shows which one holds, "" for none.
export function voteButtons(name, onVote) {
  const node = document.createElement("div");
  node.className = "card-votes";
  const buttons = Object.entries(KINDS).map(([kind, words]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1; // 48 more stops would hide the grid from the tab key; + and - do the same on a card
    button.className = `vote ${kind}`;
    button.title = `${words} (${kind === "like" ? "+" : "−"})`;
    button.setAttribute("aria-label", `${words}: ${name}`);
    button.setAttribute("aria-keyshortcuts", kind === "like" ? "+" : "-");
    button.append(thumb());
    button.addEventListener("click", () => onVote(kind));
    node.append(button);
    return [kind, button];
  });
  return {
    node,
    paint: (kind) => buttons.forEach(([own, button]) => button.setAttribute("aria-pressed", String(own === kind))),
  };
}

function thumb() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", THUMB);
  svg.append(path);
  return svg;
}
