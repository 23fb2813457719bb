// Films of the same patient as a strip, and one of them beside the film, zoomed and moved with it.
import * as api from "./api.js";
import { button, make, toggle } from "./element.js";
import { Overlay } from "./overlay.js";
import { pictureOf, windowOf } from "./picture.js";
import { address, route } from "./route.js";
import { findingName } from "./words.js";

const MOST = 50;
// What both films show alike. The window is each film's own: gray levels differ between exposures.
const ALIKE = ["map", "contour", "opacity", "invert", "shared", "finding"];

// Bring the middle of one stage, and its zoom over the whole film, to another.
function match(from, to) {
  const { state, box, painter } = from;
  const share = (corner, side) => (box[side] / 2 - state[corner]) / (painter[side] * state.zoom);
  const zoom = (to.whole * state.zoom) / from.whole;
  const place = (corner, side) => to.box[side] / 2 - share(corner, side) * to.painter[side] * zoom;
  to.fitted = from.fitted;
  to.set({ zoom, x: place("x", "width"), y: place("y", "height") });
}

export class Beside {
  constructor() {
    this.linked = true;
    this.strip = make("nav", { class: "strip", "aria-label": "Films of the same patient", hidden: true });
    this.pane = make("div", { class: "beside", hidden: true });
    this.link = toggle("Linked", () => this.relink(), { title: "Zoom and move both films together (L)" });
    this.link.on = true;
  }

  // The films of a patient, of which one is open. The film that stood beside it goes.
  async show(film) {
    this.close();
    this.film = film;
    this.strip.hidden = true;
    const page = await api.films({ patient_of: film.id, sort: "name" }, "", MOST).catch(() => ({ films: [] }));
    if (this.film !== film) return;
    this.others = page.films.filter((one) => one.id !== film.id);
    this.buttons = new Map();
    const shown = page.films.map((one) => {
      const words = [one.links.preview ? make("img", { src: one.links.preview, alt: "", loading: "lazy" }) : null,
        make("span", {}, make("bdi", { text: one.name }), make("small", { text: one.id === film.id ? "this film" : one.view && one.view !== "unknown" ? one.view : "" }))];
      if (one.id === film.id) return make("li", {}, make("span", { class: "this", "aria-current": "true", title: one.name }, ...words));
      const made = toggle("", () => this.flip(one.id), { title: `${one.name} beside this film (V: the next one)` });
      made.append(...words);
      this.buttons.set(one.id, made);
      return make("li", {}, made);
    });
    this.strip.replaceChildren(make("span", { class: "label", text: "Same patient" }), make("ul", {}, ...shown), this.link);
    this.strip.hidden = !this.others.length;
    this.link.hidden = true;
  }

  close() {
    this.painter?.close?.();
    for (const one of this.buttons?.values() || []) one.on = false;
    Object.assign(this, { beside: null, stage: null, painter: null });
    this.pane.hidden = true;
    this.link.hidden = true;
    this.pane.replaceChildren();
  }

  // Each press shows the next film of the patient beside this one, and none after the last.
  next() {
    if (!this.others?.length) return false;
    const at = this.others.findIndex((one) => one.id === this.beside) + 1;
    if (at < this.others.length) this.flip(this.others[at].id);
    else this.close();
    return true;
  }

  relink() {
    if (!this.beside) return;
    this.linked = !this.linked;
    this.link.on = this.linked;
    if (this.linked && this.stage) match(this.main, this.stage);
  }

  async flip(id) {
    const same = this.beside === id;
    this.close();
    if (same || !this.main) return;
    this.beside = id;
    this.buttons.get(id).on = true;
    const [film, made, element, caption] = await this.load(id).catch((error) => [null, error]);
    if (this.beside !== id) {
      made?.painter?.close?.();
      return;
    }
    if (!made?.painter) {
      this.pane.replaceChildren(make("p", { class: "nothing", text: made?.message || "This film has no picture." }));
      this.pane.hidden = false;
      return;
    }
    Object.assign(this, { painter: made.painter, shares: made.shares, shown: film, caption });
    const overlay = new Overlay(element, made.painter, made.head, () => {});
    overlay.boxes = film.mine?.boxes || [];
    this.stage = hilumViewer.show(element.closest("figure"), made.painter, { bare: true });
    this.stage.changed = (state) => {
      overlay.paint(state);
      this.back();
    };
    this.link.hidden = false;
    await made.painter.ready;
    this.stage?.fit();
    this.follow();
  }

  async load(id) {
    const film = await api.film(id);
    const element = make("div", { class: "stage", tabindex: 0, role: "application", dataset: { film: id }, "aria-label": `Film ${film.name}, beside the other` });
    const caption = make("p", { class: "words" });
    const head = make("header", { class: "film-head" }, make("div", {}, make("h3", { title: film.name }, make("bdi", { text: film.name })), caption),
      make("span", { class: "steps" }, make("a", { href: address(route().query, id), text: "Open" }), button("✕", () => this.close(), { "aria-label": "Close the film beside", title: "Close the film beside" })));
    this.pane.replaceChildren(head, make("div", { class: "panel" }, make("figure", { class: "viewer alone" }, element)));
    this.pane.hidden = false;
    return [film, await pictureOf(element, film.links, film.name), element, caption];
  }

  // The film changed: what both show alike, and, while they are linked, its place.
  follow() {
    const { main, stage } = this;
    if (!main || !stage || this.busy) return;
    this.busy = true;
    stage.set(Object.fromEntries(ALIKE.map((field) => [field, main.state[field]])));
    if (this.linked) match(main, stage);
    this.busy = false;
    this.say(main.state);
  }

  // The film beside was zoomed or moved: the film goes with it.
  back() {
    const { main, stage } = this;
    if (!main || !stage || this.busy || !this.linked) return;
    this.busy = true;
    match(stage, main);
    this.busy = false;
  }

  preset(key) { this.stage?.set(windowOf(key, this.shares)); }

  say({ finding, map, contour }) {
    const words = finding && this.shown.scores?.[finding];
    const missing = (map || contour) && !this.painter.findings.includes(finding) ? ` No map was drawn.` : "";
    this.caption.textContent = words ? `${findingName(finding)} ${words.sentence}.${missing}` : missing;
  }
}
