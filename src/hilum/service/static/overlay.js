// What lies over a film: letters of its sides, a scale bar, and boxes.
import { draw, make } from "./element.js";
import { findingName } from "./words.js";

const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
const LENGTHS_MM = [100, 50, 20, 10, 5];
const LEAST = 0.01;

// Letters of the left and the right edge. A row runs to the right in the direction of `orientation`.
export function sides({ orientation = [] }) {
  const toward = (orientation[0] || "")[0];
  return OPPOSITE[toward] ? { left: OPPOSITE[toward], right: toward } : null;
}

export class Overlay {
  // drawn(box): a box was drawn, in shares of the film; null where it was given up.
  constructor(stage, painter, head, drawn) {
    Object.assign(this, { stage, painter, head, drawn, boxes: [], open: null, drawing: false });
    this.shapes = draw("svg", { class: "boxes", "aria-hidden": "true" });
    this.scale = make("span", { class: "scale", hidden: true });
    stage.append(this.shapes, this.scale);
    const letters = sides(head);
    for (const [side, letter] of Object.entries(letters || {})) {
      stage.append(make("span", { class: `side ${side}`, text: letter, title: letter === "L" ? "Left of the patient" : letter === "R" ? "Right of the patient" : letter }));
    }
    this.shapes.addEventListener("pointerdown", (event) => this.press(event));
    this.shapes.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.shapes.addEventListener(name, (event) => this.release(event));
  }

  paint(state) {
    this.state = state;
    const [width, height] = [this.painter.width * state.zoom, this.painter.height * state.zoom];
    const shown = this.open ? [...this.boxes, this.open] : this.boxes;
    this.shapes.replaceChildren(...shown.flatMap((box) => {
      const at = { x: state.x + box.x * width, y: state.y + box.y * height };
      const size = { width: box.width * width, height: box.height * height };
      return [
        draw("rect", { class: "halo", ...at, ...size }),
        draw("rect", { class: box === this.open ? "open" : "box", ...at, ...size }),
        draw("text", { x: at.x + 4, y: Math.max(at.y - 5, 12), text: findingName(box.finding) }),
      ];
    }));
    this.ruler(state);
  }

  ruler({ zoom }) {
    const spacing = this.head.spacing_mm;
    if (!spacing) return;
    const length = LENGTHS_MM.find((mm) => (mm / spacing[1]) * zoom <= this.stage.clientWidth / 4);
    this.scale.hidden = !length;
    if (!length) return;
    this.scale.style.width = `${(length / spacing[1]) * zoom}px`;
    this.scale.textContent = length >= 10 ? `${length / 10} cm` : `${length} mm`;
    this.scale.title = "By the pixel spacing in the file; the body is nearer than the detector, and smaller";
  }

  // Begin to draw a box of a finding: by a drag, or by arrows (Shift: size), Enter and Esc.
  begin(finding) {
    this.finding = finding;
    this.drawing = true;
    this.stage.classList.add("boxing");
  }

  end(box) {
    this.drawing = false;
    this.open = null;
    this.stage.classList.remove("boxing");
    if (this.state) this.paint(this.state);
    this.drawn(box);
  }

  at(event) {
    const corner = this.stage.getBoundingClientRect();
    const { zoom, x, y } = this.state;
    const share = (value, side) => Math.min(Math.max(value / (side * zoom), 0), 1);
    return [share(event.clientX - corner.x - x, this.painter.width), share(event.clientY - corner.y - y, this.painter.height)];
  }

  press(event) {
    if (!this.drawing) return;
    this.from = this.at(event);
    this.shapes.setPointerCapture(event.pointerId);
    event.stopPropagation();
    event.preventDefault();
  }

  move(event) {
    if (!this.from) return;
    const to = this.at(event);
    const [x, y] = [0, 1].map((axis) => Math.min(this.from[axis], to[axis]));
    const [width, height] = [0, 1].map((axis) => Math.abs(this.from[axis] - to[axis]));
    this.open = { finding: this.finding, x, y, width, height };
    this.paint(this.state);
    event.stopPropagation();
  }

  release(event) {
    if (!this.from) return;
    this.from = null;
    event.stopPropagation();
    const box = this.open;
    this.end(box && box.width >= LEAST && box.height >= LEAST ? box : null);
  }

  // Whether a key was for the box that is being drawn.
  key(event) {
    if (!this.drawing) return false;
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (by) {
      const box = this.open || { finding: this.finding, x: 0.4, y: 0.4, width: 0.2, height: 0.2 };
      const [dx, dy] = by.map((one) => one * 0.02);
      if (event.shiftKey) Object.assign(box, { width: Math.min(Math.max(box.width + dx, 0.02), 1 - box.x), height: Math.min(Math.max(box.height + dy, 0.02), 1 - box.y) });
      else Object.assign(box, { x: Math.min(Math.max(box.x + dx, 0), 1 - box.width), y: Math.min(Math.max(box.y + dy, 0), 1 - box.height) });
      this.open = box;
      this.paint(this.state);
    } else if (event.key === "Enter") this.end(this.open);
    else if (event.key === "Escape" || event.key.toLowerCase() === "b") this.end(null);
    else return false;
    return true;
  }
}
