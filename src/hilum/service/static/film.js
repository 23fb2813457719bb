// One film: its stage with tools, its findings, and the reading of whoever looks.
import * as api from "./api.js";
import { Beside } from "./beside.js";
import { button, make, toggle } from "./element.js";
import { Findings, inOrder } from "./findings.js";
import { conflict } from "./conflict.js";
import { Overlay } from "./overlay.js";
import { isPhone } from "./route.js";
import { PRESETS, ahead, pictureOf, windowOf } from "./picture.js";
import { Verdict } from "./verdict.js";
import { JUDGMENTS, STATUSES, findingName, tokenWords } from "./words.js";

const WAIT_MS = 1500;
const NOTE_MS = 900;

export class FilmView {
  // does: { go(by), updated(id, reading), list() } of the page.
  constructor(element, findings, context, does) {
    Object.assign(this, { element, context, does, verdicts: new Map(), beside: new Beside(), film: null, run: 0 });
    this.findings = new Findings(findings, {
      choose: (name) => this.choose(name),
      judge: (name, judgment) => this.judge(judgment, name),
      flip: (field) => this.flip(field),
      note: (text, now) => this.note(text, now),
      undo: () => this.undo(),
      commit: () => this.commit(),
      compare: () => this.compare(),
      retry: () => this.verdict.save(true),
      unbox: (at) => this.verdict.change((draft) => draft.boxes.splice(at, 1)),
      history: () => this.history(),
    });
  }

  get writable() { return this.context.session.scopes.includes("review"); }
  get unsaved() { return [...this.verdicts.values()].some((one) => one.dirty); }

  async open(id) {
    const run = (this.run += 1);
    this.flush();
    // a key that is pressed before the next film is there must not reach the one before
    if (this.film?.id !== id) this.fail("Loading the film");
    let film;
    try {
      film = await api.film(id);
    } catch (error) {
      if (run === this.run) this.fail(error.message);
      return;
    }
    if (run !== this.run) return;
    this.film = film;
    this.scores = inOrder(film.result, this.context.bundle.findings);
    this.verdict = this.verdictOf(film);
    this.head();
    this.findings.show(film, this.scores, this.verdict, this.writable);
    this.findings.choose(this.scores[0]?.name, false);
    await this.picture(run);
    if (run === this.run && film.state !== "done") this.wait(id, run);
  }

  // An unsaved reading stays with its film; a saved one is taken anew.
  verdictOf(film) {
    const held = this.verdicts.get(film.id);
    if (held && (held.dirty || held.sending || held.past.length)) {
      if (!held.sending && !held.dirty) held.version = film.reading.version;
      return held;
    }
    const made = new Verdict(film, film.blinded, () => this.changed(made));
    this.verdicts.set(film.id, made);
    return made;
  }

  wait(id, run) {
    setTimeout(() => {
      if (run === this.run && this.film?.id === id) this.open(id);
    }, WAIT_MS);
  }

  close() {
    this.flush();
    this.run += 1;
    this.film = null;
    this.dispose();
    this.element.replaceChildren();
    this.findings.element.replaceChildren();
  }

  fail(message) {
    this.dispose();
    this.film = null;
    this.findings.element.replaceChildren();
    this.element.replaceChildren(make("p", { class: "nothing", text: message }));
  }

  dispose() {
    this.painter?.close?.();
    this.beside.close();
    this.beside.main = null;
    Object.assign(this, { stage: null, painter: null, overlay: null });
  }

  head() {
    const { film } = this;
    const result = film.result;
    const facts = [result?.view && result.view !== "unknown" ? result.view : null, result?.patient || null,
      result?.age_years ? `${Math.round(result.age_years)} years` : null].filter(Boolean).join(" · ");
    const status = film.blinded && film.state === "done" ? "scored" : result?.status || film.state;
    this.title = make("header", { class: "film-head" },
      button("☰ Films", () => this.does.list(), { class: "to-list" }),
      make("h2", { title: film.name }, make("bdi", { text: film.name })),
      make("span", { class: `chip ${status}`, text: STATUSES[status] || status }),
      make("span", { class: "facts", title: facts }, make("bdi", { text: facts })),
      make("span", { class: "steps" }, button("↑", () => this.does.go(-1), { "aria-label": "Film before", title: "Film before (K)" }), button("↓", () => this.does.go(1), { "aria-label": "Next film", title: "Next film (J)" })));
  }

  async picture(run) {
    const element = make("div", { class: "stage", tabindex: 0, role: "application", dataset: { film: this.film.id }, "aria-label": `Film ${this.film.name}; press ? for the keys` });
    const figure = make("figure", { class: "viewer alone" }, element);
    const panel = make("div", { class: "panel" }, figure);
    this.dispose();
    const { beside } = this;
    this.element.replaceChildren(this.title, beside.strip, make("div", { class: "pair" }, panel, beside.pane));
    beside.show(this.film);
    const { links, name } = this.film;
    // the small picture is there at once, the film's own pixels a moment later
    if (links.pixels && links.preview) element.append(make("img", { class: "first", src: links.preview, alt: "" }));
    let made = null;
    let reason = "This film has no picture.";
    try {
      made = await pictureOf(element, links, name);
    } catch (error) {
      reason = `The picture of this film cannot be shown: ${error.message}`;
    }
    if (run !== this.run) {
      made?.painter.close?.();
      return;
    }
    if (!made) {
      panel.replaceChildren(make("p", { class: "nothing" }, make("bdi", { text: this.film.result?.message || reason })));
      return;
    }
    this.painter = made.painter;
    this.shares = made.shares;
    this.overlay = new Overlay(element, made.painter, made.head, (box) => this.boxed(box));
    this.overlay.boxes = this.verdict.draft.boxes;
    this.readout = make("span", { class: "readout", "aria-hidden": "true" });
    element.append(this.readout);
    this.stage = hilumViewer.show(figure, made.painter, { bare: true });
    this.element.append(this.tools());
    beside.main = this.stage;
    this.stage.changed = (state) => this.painted(state);
    this.stage.set({ map: false, finding: this.findings.chosen });
    await made.painter.ready;
    this.stage.fit();
    const active = document.activeElement;
    if (!active || active === document.body || this.element.contains(active)) element.focus({ preventScroll: true });
    this.next();
  }

  async next() {
    const { id } = this.film;
    const film = await this.context.neighbor(id, 1).catch(() => null);
    if (film && this.film?.id === id) ahead(film.links);
  }

  tools() {
    const maps = this.painter.findings.length > 0;
    const group = (words, ...children) => make("span", { class: "group", role: "group", "aria-label": words }, ...children);
    const { stage } = this;
    this.map = toggle("Map", () => this.press("h"), { title: "Map on or off (H)" });
    this.contour = toggle("Contour", () => this.press("c"), { title: "Contour at 50 or 80 % of the map's scale, or none (C)" });
    this.scale = toggle("Own scale", () => this.press("m"), { title: "Each map on its own scale, or all maps of the film on one (M)" });
    this.ramp = make("span", { class: "map-ramp" });
    this.opacity = make("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Opacity of the map" });
    this.opacity.addEventListener("input", () => stage.set({ opacity: Number(this.opacity.value) }));
    this.invert = toggle("Invert", () => this.press("i"), { title: "Black and white exchanged (I)" });
    this.box = toggle("Box", () => this.press("b"), { title: "Draw a box of the chosen finding (B)", class: "box-tool", disabled: !this.writable });
    this.presets = PRESETS.map(([key, words, help]) => toggle(words, () => this.press(key), { title: `${help} (${key})` }));
    this.aboutMap = make("span", { class: "about-map" });
    return make("div", { class: "tools", role: "group", "aria-label": "Film tools" },
      maps ? group("Map", this.map, this.contour, this.painter.scales ? this.scale : null, make("label", { class: "slide" }, this.ramp, this.opacity)) : group("Map", make("small", { text: this.film.blinded ? "Maps appear after your reading" : "No map was drawn" })),
      group("Window", ...this.presets, this.invert),
      group("Zoom", button("−", () => this.press("-"), { "aria-label": "Zoom out", title: "Zoom out (-)" }), button("+", () => this.press("+"), { "aria-label": "Zoom in", title: "Zoom in (+)" }), button("Fit", () => this.press("0"), { title: "Whole film (0)" }), button("1:1", () => this.press("="), { title: "One pixel a screen pixel (=)" }), button("Reset", () => this.press("r"), { title: "As the film opened (R)" })),
      this.box, this.aboutMap);
  }

  painted(state) {
    this.overlay.paint(state);
    this.beside.follow();
    const ratio = window.devicePixelRatio || 1;
    this.readout.textContent = `${Math.round(state.zoom * ratio * 100)} % · window ${Math.round(state.width * 100)} · level ${Math.round(state.center * 100)}`;
    if (!this.map) return;
    this.map.on = state.map;
    this.contour.on = state.contour > 0;
    this.contour.textContent = hilumViewer.contourWords(state);
    this.scale.on = state.shared;
    this.scale.textContent = state.shared ? "Shared scale" : "Own scale";
    this.ramp.title = state.shared ? "From none to the highest of all maps of this film" : "From none to the map's own maximum";
    this.invert.on = state.invert;
    this.opacity.value = state.opacity;
    this.opacity.setAttribute("aria-valuetext", `${Math.round(state.opacity * 100)} %`);
    this.presets.forEach((one, at) => {
      const { center, width } = windowOf(PRESETS[at][0], this.shares);
      one.on = Math.abs(center - state.center) < 1e-6 && Math.abs(width - state.width) < 1e-6;
    });
    const shown = (state.map || state.contour) && this.painter.findings.length;
    this.aboutMap.textContent = shown ? this.wordsOfMap(state.finding) : "";
  }

  // What the map of a finding leaves out.
  wordsOfMap(finding) {
    if (!this.painter.findings.includes(finding)) return `No map was drawn for ${findingName(finding)}`;
    const share = this.film.result?.token_shares?.[finding];
    return share === undefined ? "" : tokenWords(share);
  }

  press(key) {
    const { stage } = this;
    if (!stage) return false;
    const { state } = stage;
    if (PRESETS.some(([preset]) => preset === key)) {
      stage.set(windowOf(key, this.shares));
      this.beside.preset(key);
    }
    else if (key === "h" && this.painter.findings.length) stage.set({ map: !state.map });
    else if (key === "c" && this.painter.findings.length) stage.contour();
    else if (key === "m" && this.painter.scales) stage.set({ shared: !state.shared });
    else if (key === "v") return this.beside.next();
    else if (key === "l") this.beside.relink();
    else if (key === "[" || key === "]") stage.set({ opacity: state.opacity + (key === "]" ? 0.1 : -0.1) });
    else if (key === "i") stage.set({ invert: !state.invert });
    else if (key === "-") stage.zoomBy(0.8);
    else if (key === "+") stage.zoomBy(1.25);
    else if (key === "0") stage.fit();
    else if (key === "=") stage.actual();
    else if (key === "r") {
      stage.reset();
      stage.set({ map: false, finding: this.findings.chosen });
    } else if (key === "b") this.draw();
    return true;
  }

  draw() {
    if (!this.writable || !this.findings.chosen || isPhone()) return;
    if (this.overlay.drawing) this.overlay.end(null);
    else {
      this.overlay.begin(this.findings.chosen);
      this.box.on = true;
      this.stage.element.focus({ preventScroll: true });
      this.context.say(`Draw a box of ${findingName(this.findings.chosen)}: drag, or arrows, Shift and arrows for its size, Enter. Esc gives it up.`);
    }
  }

  boxed(box) {
    if (this.box) this.box.on = false;
    this.context.say("");
    if (!box) return;
    const exact = (value) => Math.round(value * 1e5) / 1e5;
    const kept = { finding: box.finding, x: exact(box.x), y: exact(box.y), width: exact(box.width), height: exact(box.height) };
    kept.width = Math.min(kept.width, exact(1 - kept.x));
    kept.height = Math.min(kept.height, exact(1 - kept.y));
    this.verdict.change((draft) => draft.boxes.push(kept));
  }

  choose(name) {
    if (!name) return;
    this.findings.choose(name);
    this.stage?.set({ finding: name });
  }

  step(by) {
    const names = this.scores.map((one) => one.name);
    const at = names.indexOf(this.findings.chosen) + by;
    if (at >= 0 && at < names.length) this.choose(names[at]);
  }

  judge(judgment, name = this.findings.chosen) {
    if (!name || !this.writable) return;
    if (name !== this.findings.chosen) this.choose(name);
    this.verdict.judge(name, judgment);
    this.context.say(`${findingName(name)}: ${JUDGMENTS[this.verdict.judgment(name)].toLowerCase()}`);
  }

  flip(field) { if (this.writable) this.verdict.flip(field); }

  note(text, now) {
    clearTimeout(this.typing);
    this.pending = { verdict: this.verdict, text };
    if (now) this.flush();
    else this.typing = setTimeout(() => this.flush(), NOTE_MS);
    this.findings.left.textContent = text.length > 1800 ? `${2000 - text.length} characters left` : "";
  }

  // A note that is still being typed belongs to the film it was typed for.
  flush() {
    clearTimeout(this.typing);
    const { pending } = this;
    this.pending = null;
    if (pending) pending.verdict.change((draft) => { draft.note = pending.text; });
  }

  undo() {
    this.flush();
    if (this.writable && !this.verdict.undo()) this.context.say("Nothing to undo");
  }

  async commit() {
    this.flush();
    const { verdict, film } = this;
    if (!verdict.held) return;
    await verdict.commit();
    if (verdict.problem || verdict.stale) verdict.held = true;
    if (verdict.held) this.changed(verdict);
    else if (this.film === film) await this.open(film.id);
  }

  compare() { if (this.verdict.stale) conflict(this.verdict, this.context.bundle.findings); }

  async history() {
    const { id } = this.film;
    try {
      const history = await api.history(id);
      if (this.film?.id === id) this.findings.versions(history);
    } catch (error) {
      this.context.say(error.message);
    }
  }

  changed(verdict) {
    if (verdict.newest && !verdict.sending) this.does.updated(verdict.id, { read_by_me: true, second_look: verdict.saved.second_look, version: verdict.version });
    if (verdict !== this.verdict || !this.film) return;
    if (this.overlay) {
      this.overlay.boxes = verdict.draft.boxes;
      if (this.stage) this.overlay.paint(this.stage.state);
    }
    this.findings.sync();
    if (verdict.stale && !document.querySelector("dialog.conflict") && verdict.asked !== verdict.stale) {
      verdict.asked = verdict.stale;
      this.compare();
    }
    if (this.findings.past?.open && !verdict.sending && !verdict.dirty) this.history();
  }
}
