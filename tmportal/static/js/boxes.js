// The best matching parts, drawn over an image. The SVG fits like `object-fit: contain`, so a box in pixels of
// the original image lies where the eye sees it.

const SVG = "http://www.w3.org/2000/svg";

export function drawBox(svg, box, size) {
  svg.replaceChildren();
  const [width, height] = size ?? [];
  if (!box || !width || !height) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const [x0, y0, x1, y1] = box;
  for (const kind of ["halo", "line"]) {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("class", kind);
    rect.setAttribute("x", x0);
    rect.setAttribute("y", y0);
    rect.setAttribute("width", Math.max(0, x1 - x0));
    rect.setAttribute("height", Math.max(0, y1 - y0));
    rect.setAttribute("rx", Math.min(width, height) * 0.02);
    svg.append(rect);
  }
}
