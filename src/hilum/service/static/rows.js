// A list of which only the rows in sight are in the page.
import { make } from "./element.js";

const SPARE = 6;

export class Rows {
  // draw(index) makes a row; wanted(last) is told which rows will be in sight.
  constructor(element, draw, wanted) {
    this.element = element;
    this.draw = draw;
    this.wanted = wanted;
    this.count = 0;
    this.height = 44;
    this.made = new Map();
    this.space = make("div", { class: "space", role: "presentation" });
    element.append(this.space);
    element.addEventListener("scroll", () => this.soon());
    new ResizeObserver(() => this.soon()).observe(element);
  }

  set(count, height) {
    this.count = count;
    if (height !== this.height) this.clear();
    this.height = height;
    this.space.style.height = `${count * height}px`;
    this.paint();
  }

  clear() {
    this.made.forEach((row) => row.remove());
    this.made.clear();
  }

  // Make one row again, or all of them; the focus stays on the same film.
  renew(index) {
    const held = this.held();
    if (index === undefined) this.clear();
    else if (this.made.has(index)) {
      this.made.get(index).remove();
      this.made.delete(index);
    }
    this.paint();
    // without scrolling: rows also come anew while the reader scrolls away from the focus
    const row = held === null ? null : this.made.get(held);
    if (row && !row.contains(document.activeElement)) row.querySelector("a")?.focus({ preventScroll: true });
  }

  held() {
    for (const [index, row] of this.made) if (row.contains(document.activeElement)) return index;
    return null;
  }

  soon() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.paint();
    });
  }

  paint() {
    const { scrollTop, clientHeight } = this.element;
    const held = this.held();
    const first = Math.max(0, Math.floor(scrollTop / this.height) - SPARE);
    const last = Math.min(this.count - 1, Math.ceil((scrollTop + clientHeight) / this.height) + SPARE);
    for (const [index, row] of this.made) {
      if ((index < first || index > last) && index !== held) {
        row.remove();
        this.made.delete(index);
      }
    }
    for (let index = first; index <= last; index += 1) {
      if (this.made.has(index)) continue;
      const row = this.draw(index);
      row.style.transform = `translateY(${index * this.height}px)`;
      row.setAttribute("aria-rowindex", index + 2);
      this.made.set(index, row);
      // in the order of the list, so that Tab goes down it
      const after = [...this.made.keys()].filter((one) => one > index).sort((a, b) => a - b)[0];
      this.space.insertBefore(row, after === undefined ? null : this.made.get(after));
    }
    this.wanted(last);
  }

  reveal(index) {
    const [top, height] = [index * this.height, this.element.clientHeight];
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + this.height > this.element.scrollTop + height) this.element.scrollTop = top + this.height - height;
    this.paint();
  }

  focus(index) {
    this.reveal(index);
    const link = this.made.get(index)?.querySelector("a");
    if (link) link.focus({ preventScroll: true });
  }
}
