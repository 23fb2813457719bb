"use strict";
// A film on a stage, with maps as layers over it: zoom, pan, window, invert, opacity, contour.
//
//   const stage = hilumViewer.show(figure, painter, { bare });   // a .viewer with a .stage in it;
//                                                     // bare: without controls, which the page has
//   stage.state; stage.set({ zoom, x, y, center, width, invert, finding, map, opacity, contour,
//                                shared });   // contour: 0 (none), 0.5 or 0.8 of the map's peak
//   stage.fit(); stage.actual(); stage.zoomBy(factor, x, y); stage.reset();
//
// A painter knows where pixels come from and nothing of pointers, keys or buttons:
//
//   { width, height,              // of the film, in its pixels
//     findings,                   // names of its maps, in order
//     ready,                      // a promise; the sizes count from then on
//     paint(state, box) }         // state as above; box is the stage's size in CSS pixels
//
// zoom: CSS pixels a film pixel. x, y: where the film's corner lies on the stage. center, width:
// the window, as shares of the film's range. shared: all maps of the film on one scale, which a
// painter whose `scales` is true can do. ImagePainter, below, shows <img> elements and reads no
// pixel, so it works on file:, where a canvas may not. Without this script the first map shows.
// A .viewer that is .alone fills its page: the wheel zooms at once, and a click opens nothing.
// hilumViewer.hands says what a drag with the left, middle and right button does.
const hilumViewer = (() => {
  const START = { center: 0.5, width: 1, invert: false, map: true, opacity: 0.62, contour: 0, shared: false };
  // Where a map's share of its peak can be read from its picture, as layer_palette() in ramp.py has
  // it: alpha rises up to 0.6, and green from 0.3 on. The row of a matrix that makes alpha of it.
  const CUTS = new Map([[0.5, ["0 0 0 1 0", 0.8181]], [0.8, ["0 1 0 0 0", 0.6525]]]);
  const CONTOURS = [0, ...CUTS.keys()];
  const contourWords = ({ contour }) => contour ? `Contour ${100 * contour} %` : "Contour";
  const hands = { left: "window", middle: "move", right: "move" };
  const SVG = "http://www.w3.org/2000/svg";
  const stages = new WeakMap();
  let hovered = null, spaceHeld = false, count = 0;

  const limit = (value, low, high) => Math.min(Math.max(value, low), high);

  function make(name, properties = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key.includes("-") || key === "role") element.setAttribute(key, value);
      else element[key] = value;
    }
    element.append(...children);
    return element;
  }

  function svg(name, attributes, ...children) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  class ImagePainter {
    constructor(stage) {
      this.sheet = stage.querySelector(".sheet");
      this.film = this.sheet.querySelector(".picture");
      this.maps = Array.from(this.sheet.querySelectorAll(".map"));
      this.findings = this.maps.map((map) => map.dataset.finding);
      const loaded = this.film.complete && this.film.naturalWidth > 0;
      this.ready = loaded ? Promise.resolve() : new Promise((done) => {
        this.film.addEventListener("load", done, { once: true });
      });
    }

    get width() { return this.film.naturalWidth; }
    get height() { return this.film.naturalHeight; }

    paint(state) {
      const { sheet, film } = this;
      sheet.style.width = `${this.width}px`;
      sheet.style.height = `${this.height}px`;
      sheet.style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
      const plain = state.center === 0.5 && state.width === 1 && !state.invert;
      if (!plain) this.filters().window(state);
      film.style.filter = plain ? "" : `url(#${this.filters().name}-window)`;
      for (const map of this.maps) {
        const own = map.dataset.finding === state.finding;
        map.classList.toggle("shown", own && (state.map || state.contour));
        if (own && state.contour) this.filters().contour(state);
        map.style.filter = own && state.contour ? `url(#${this.filters().name}-contour)` : "";
        map.style.opacity = own && state.contour ? 1 : state.opacity;
      }
    }

    // Filters are made when they are first needed: most films are only looked at.
    filters() {
      if (this.made) return this.made;
      const name = `film-filter-${++count}`;
      const area = { x: 0, y: 0, width: "100%", height: "100%", "color-interpolation-filters": "sRGB" };
      const gray = ["R", "G", "B"].map((band) => svg(`feFunc${band}`, { type: "linear" }));
      const fade = svg("feFuncA", { type: "linear" });
      const cut = (slope, at) => svg("feFuncA", { type: "linear", slope, intercept: 0.5 - slope * at });
      const matrix = svg("feColorMatrix", { in: "SourceGraphic" });
      const sharp = svg("feFuncA", { type: "linear", slope: 255 });
      const smooth = svg("feGaussianBlur", {});
      const grow = (result) => svg("feMorphology", { in: "half", operator: "dilate", result });
      const [line, halo] = [grow("line"), grow("halo")];
      const ring = (color, from, result) => [
        svg("feFlood", { "flood-color": color }),
        svg("feComposite", { in2: from, operator: "in" }),
        svg("feComposite", { in2: "half", operator: "out", result }),
      ];
      this.sheet.append(svg("svg", { class: "filters", "aria-hidden": "true" },
        svg("filter", { id: `${name}-window`, ...area }, svg("feComponentTransfer", {}, ...gray)),
        svg("filter", { id: `${name}-contour`, ...area },
          matrix, svg("feComponentTransfer", {}, sharp), smooth,
          svg("feComponentTransfer", { result: "half" }, cut(4, 0.5)),
          line, halo,
          ...ring("#000000", "halo", "dark"), ...ring("#ffffff", "line", "light"),
          svg("feComponentTransfer", { in: "SourceGraphic", result: "faded" }, fade),
          svg("feMerge", {}, ...["faded", "dark", "light"].map((one) => svg("feMergeNode", { in: one }))))));
      this.made = {
        name,
        window({ center, width, invert }) {
          const sign = invert ? -1 : 1;
          for (const band of gray) {
            band.setAttribute("slope", sign / width);
            band.setAttribute("intercept", 0.5 - (sign * center) / width);
          }
        },
        contour({ map, opacity, zoom, contour }) {
          const [row, at] = CUTS.get(contour);
          matrix.setAttribute("values", `0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 ${row}`);
          sharp.setAttribute("intercept", 0.5 - 255 * at);
          fade.setAttribute("slope", map ? opacity : 0);
          smooth.setAttribute("stdDeviation", 1.2 / zoom);  // the same on the screen at every zoom
          line.setAttribute("radius", 2 / zoom);
          halo.setAttribute("radius", 3 / zoom);
        },
      };
      return this.made;
    }
  }

  class Stage {
    constructor(element, painter) {
      this.element = element;
      this.painter = painter;
      this.fitted = true;
      this.state = { ...START, zoom: 1, x: 0, y: 0, finding: painter.findings[0] || "" };
      this.changed = () => {};
      painter.ready.then(() => {
        sizes.observe(element);
        element.classList.add("live");
        this.fit();
      });
    }

    get box() { return { width: this.element.clientWidth, height: this.element.clientHeight }; }
    get whole() {
      const { width, height } = this.box;
      return Math.min(width / this.painter.width, height / this.painter.height) || 1;
    }

    set(change) {
      const { painter, box } = this;
      if (!painter.width || !box.width) return;
      const state = { ...this.state, ...change };
      state.zoom = limit(state.zoom, Math.min(this.whole, 1), Math.max(16, this.whole));
      state.center = limit(state.center, 0, 1);
      state.width = limit(state.width, 0.02, 2);
      state.opacity = limit(Math.round(state.opacity * 100) / 100, 0, 1);
      for (const [corner, side] of [["x", "width"], ["y", "height"]]) {
        const spare = box[side] - painter[side] * state.zoom;
        state[corner] = spare >= 0 ? spare / 2 : limit(state[corner], spare, 0);
      }
      this.state = state;
      this.element.classList.toggle("zoomed", state.zoom > this.whole * 1.001);
      painter.paint(state, box);
      this.changed(state);
    }

    fit() { this.fitted = true; this.set({ zoom: this.whole }); }
    actual() {
      const { width, height } = this.box;
      this.zoomBy(1 / (window.devicePixelRatio || 1) / this.state.zoom, width / 2, height / 2);
    }
    zoomBy(factor, x = this.box.width / 2, y = this.box.height / 2) {
      const { zoom } = this.state;
      const next = limit(zoom * factor, Math.min(this.whole, 1), Math.max(16, this.whole));
      const grown = next / zoom;
      this.fitted = Math.abs(next - this.whole) < 1e-6;
      this.set({ zoom: next, x: x - (x - this.state.x) * grown, y: y - (y - this.state.y) * grown });
    }
    pan(x, y) { this.set({ x: this.state.x + x, y: this.state.y + y }); }
    window(wider, higher) {
      this.set({ width: this.state.width + wider, center: this.state.center + higher });
    }
    step(by) {
      const { findings } = this.painter;
      const at = findings.indexOf(this.state.finding) + by + findings.length;
      if (findings.length) this.set({ finding: findings[at % findings.length], map: true });
    }
    contour() { this.set({ contour: CONTOURS[(CONTOURS.indexOf(this.state.contour) + 1) % CONTOURS.length] }); }
    reset() { this.set(START); this.fit(); }
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const stage = stages.get(target);
      if (stage && stage.fitted) stage.fit();
      else if (stage) stage.set({});
    }
  });

  // What each key and button does. A key is matched in lower case.
  const ACTIONS = new Map([
    ["h", { words: "Map", does: (s) => s.set({ map: !s.state.map }), on: (state) => state.map, maps: true, help: "map on or off" }],
    ["c", { words: "Contour", does: (s) => s.contour(), on: (state) => state.contour > 0, says: contourWords, maps: true, help: "contour at 50 or 80 % of the map's peak, or none" }],
    ["f", { does: (s, back) => s.step(back ? -1 : 1), help: "map of the next finding (Shift: of the one before)" }],
    ["[", { does: (s) => s.set({ opacity: s.state.opacity - 0.1 }), help: "map fainter" }],
    ["]", { does: (s) => s.set({ opacity: s.state.opacity + 0.1 }), help: "map stronger" }],
    ["i", { words: "Invert", does: (s) => s.set({ invert: !s.state.invert }), on: (state) => state.invert, help: "black and white exchanged" }],
    ["-", { words: "−", name: "Zoom out", does: (s) => s.zoomBy(0.8), help: "zoom out" }],
    ["+", { words: "+", name: "Zoom in", does: (s) => s.zoomBy(1.25), help: "zoom in" }],
    ["0", { words: "Fit", does: (s) => s.fit(), help: "whole film" }],
    ["=", { words: "1:1", name: "One pixel a screen pixel", does: (s) => s.actual(), help: "one pixel of the film a pixel of the screen" }],
    ["r", { words: "Reset", does: (s) => s.reset(), help: "as the page opened" }],
    ["enter", { words: "Full window", does: (s) => open(s.element.closest(".viewer")), help: "full window; Esc closes it" }],
    ["?", { words: "Keys", does: () => keys(), help: "this list" }],
  ]);
  const HANDS = [
    ["Left drag, Shift + arrows", "window: across for contrast, up and down for brightness"],
    ["Wheel", "zoom at the pointer, on the film that has the focus or with Ctrl"],
    ["Right or space drag, arrows", "move the film"],
    ["Two fingers", "zoom and move"],
    ["J, K", "next film, film before, in the full window"],
  ];

  function button(stage, key) {
    const { words, name, does, on, says, help } = ACTIONS.get(key);
    const shown = key.length === 1 ? key.toUpperCase() : "Enter";
    const made = make("button", { type: "button", textContent: words, title: `${name || help} (${shown})` });
    if (name) made.setAttribute("aria-label", name);
    if (key === "enter") made.className = "widen";
    made.addEventListener("click", () => does(stage, false));
    if (on) {
      made.sync = (state) => {
        made.setAttribute("aria-pressed", on(state));
        if (says) made.textContent = says(state);
      };
    }
    return made;
  }

  function slider(stage, words, field, low, high) {
    const input = make("input", { type: "range", min: low, max: high, step: 0.01 });
    input.addEventListener("input", () => stage.set({ [field]: Number(input.value) }));
    const made = make("label", { className: `slide ${field}` }, make("span", { textContent: words }), input);
    made.sync = (state) => {
      input.value = state[field];
      input.setAttribute("aria-valuetext", `${Math.round(state[field] * 100)} %`);
    };
    return made;
  }

  function choice(stage, figure) {
    const group = make("div", { className: "choice", role: "radiogroup", "aria-label": "Map of" });
    const name = `map-of-${++count}`;
    for (const finding of stage.painter.findings) {
      const radio = make("input", { type: "radio", name, value: finding });
      radio.addEventListener("change", () => stage.set({ finding, map: true }));
      group.append(make("label", {}, radio, make("span", { textContent: finding.replaceAll("_", " ") })));
    }
    const words = Array.from(figure.querySelectorAll("figcaption [data-finding]"));
    group.sync = (state) => {
      for (const radio of group.querySelectorAll("input")) radio.checked = radio.value === state.finding;
      for (const one of words) one.hidden = one.dataset.finding !== state.finding;
    };
    return group;
  }

  // One stop of the Tab key for all buttons; arrows lead from one to the next.
  function toolbar(...buttons) {
    const bar = make("div", { className: "tools", role: "toolbar", "aria-label": "Film" }, ...buttons);
    buttons.forEach((one, at) => { one.tabIndex = at ? -1 : 0; });
    bar.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const at = buttons.indexOf(document.activeElement);
      if (!by || at < 0) return;
      const next = buttons[(at + by + buttons.length) % buttons.length];
      buttons.forEach((one) => { one.tabIndex = one === next ? 0 : -1; });
      next.focus();
      event.preventDefault();
    });
    return bar;
  }

  function show(figure, painter, { bare = false } = {}) {
    const element = figure.querySelector(".stage");
    if (stages.has(element)) return stages.get(element);
    const stage = new Stage(element, painter || new ImagePainter(element));
    stages.set(element, stage);
    if (bare) return stage;
    const maps = stage.painter.findings.length > 0;
    const wanted = [...ACTIONS].filter(([, action]) => action.words && (maps || !action.maps));
    const buttons = wanted.map(([key]) => button(stage, key));
    const fade = make("div", { className: "fade" }, make("span", { className: "map-ramp", title: "From none to the map's own maximum" }), slider(stage, "Opacity", "opacity", 0, 1));
    const readout = make("span", { className: "readout", "aria-hidden": "true" });
    readout.sync = ({ zoom, center, width }) => {
      readout.textContent = `${Math.round(zoom * (window.devicePixelRatio || 1) * 100)} % · contrast ${Math.round(100 / width)} % · level ${Math.round(center * 100)} %`;
    };
    const parts = [
      ...(maps ? [choice(stage, figure), fade] : []),
      make("div", { className: "adjust" }, slider(stage, "Level", "center", 0, 1), slider(stage, "Window", "width", 0.02, 2)),
      toolbar(...buttons),
    ];
    element.append(readout);
    element.after(make("div", { className: "controls" }, ...parts));
    const synced = Array.from(figure.querySelectorAll(".controls *, .readout")).filter((one) => one.sync);
    stage.changed = (state) => synced.forEach((one) => one.sync(state));
    figure.classList.add("ready");
    return stage;
  }

  function popup(label, className, ...children) {
    const close = make("button", { type: "button", textContent: "Close", title: "Close (Esc)" });
    const notice = document.querySelector(".notice");
    const dialog = make("dialog", { className, "aria-label": label },
      make("header", {}, make("strong", { textContent: label }), close),
      make("p", { className: "notice", textContent: notice ? notice.textContent : "" }), ...children);
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  function keys() {
    const rows = [...ACTIONS].map(([key, { help }]) => [key.length === 1 ? key.toUpperCase() : "Enter", help]);
    const list = [...rows, ...HANDS].map(([key, help]) => make("div", {}, make("dt", { textContent: key }), make("dd", { textContent: help })));
    popup("Keys and mouse", "key-list", make("dl", {}, ...list));
  }

  // The film moves into the dialog and back: the same stage, and nothing is loaded anew.
  function open(figure) {
    if (figure.closest("dialog")) return;
    const place = document.createComment("");
    const element = figure.querySelector(".stage");
    const panel = figure.parentElement;
    panel.style.minHeight = `${panel.offsetHeight}px`;
    figure.before(place);
    const dialog = popup(element.dataset.name || "Film", "full", figure);
    dialog.addEventListener("close", () => {
      place.replaceWith(figure);
      panel.style.minHeight = "";
      element.focus({ preventScroll: true });
    });
    dialog.neighbor = (by) => {
      const all = Array.from(document.querySelectorAll(".viewer, .panel"));
      const at = all.indexOf(panel);
      const rest = by > 0 ? all.slice(at + 1) : all.slice(0, at).reverse();
      const next = rest.find((one) => one.matches(".panel .viewer") && one.offsetParent !== null);
      if (!next) return;
      dialog.close();
      show(next);
      setTimeout(() => open(next));
    };
    show(figure).fit();
    element.focus();
  }

  // The stage of a figure; null while its page still fetches what it is to show. One that is
  // .alone is begun by its page, which has the controls.
  function stageOf(figure) {
    const element = figure.querySelector(".stage");
    const ours = !figure.matches(".alone") && element.querySelector(".sheet");
    return stages.has(element) || ours ? show(figure) : null;
  }

  function stageAt(target) {
    const element = target instanceof Element ? target.closest(".stage") : null;
    return element && stageOf(element.closest(".viewer"));
  }

  const pointers = new Map();
  let drag = null;

  function pressed(event) {
    const stage = stageAt(event.target);
    if (!stage || event.target.closest("a")) return;
    const touch = event.pointerType === "touch";
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const zoomed = stage.element.classList.contains("zoomed");
    const ours = stage.element.closest("dialog, .viewer.alone");
    const held = touch ? (zoomed ? "move" : ours ? "window" : "none") : hands[["left", "middle", "right"][event.button]] || "none";
    drag = { stage, moved: 0, button: event.button, from: [event.clientX, event.clientY], mode: spaceHeld ? "move" : held };
    stage.element.setPointerCapture(event.pointerId);
    stage.element.focus({ preventScroll: true });
    if (!touch) event.preventDefault();
  }

  function moved(event) {
    const before = pointers.get(event.pointerId);
    if (!before || !drag) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    drag.moved += Math.abs(dx) + Math.abs(dy);
    const { stage } = drag;
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const span = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
      const corner = stage.element.getBoundingClientRect();
      const middle = [(now[0] + other[0]) / 2 - corner.x, (now[1] + other[1]) / 2 - corner.y];
      drag.moved += 100;
      stage.zoomBy(span(now) / span(before), ...middle);
      stage.pan(dx / 2, dy / 2);
    } else if (drag.mode === "move") stage.pan(dx, dy);
    else if (drag.mode === "zoom") {
      const corner = stage.element.getBoundingClientRect();
      stage.zoomBy(Math.exp(-dy * 0.006), drag.from[0] - corner.x, drag.from[1] - corner.y);
    }
    else if (drag.mode === "window" && drag.moved > 3) stage.window(-dx / 400, -dy / 400);
    pointers.set(event.pointerId, now);
  }

  function released(event) {
    if (!pointers.delete(event.pointerId) || !drag) return;
    const { stage, moved: distance, button: pressedButton } = drag;
    if (pointers.size === 0) drag = null;
    const clicked = event.type === "pointerup" && distance <= 3 && pressedButton === 0 && !spaceHeld;
    if (clicked && !stage.element.closest(".viewer.alone")) open(stage.element.closest(".viewer"));
  }

  function wheeled(event) {
    const stage = stageAt(event.target);
    const wanted = event.ctrlKey || event.target.closest("dialog, .viewer.alone") || document.activeElement === stage.element;
    if (!wanted) return;  // a page of films must scroll
    const corner = stage.element.getBoundingClientRect();
    const lines = event.deltaMode ? 20 : 1;
    stage.zoomBy(Math.exp(-event.deltaY * lines * 0.0015), event.clientX - corner.x, event.clientY - corner.y);
    event.preventDefault();
  }

  function entered(event) {
    const stage = stageAt(event.target);
    if (stage === hovered) return;
    // only the film under the pointer listens, so that the rest of the page scrolls freely
    if (hovered) hovered.element.removeEventListener("wheel", wheeled);
    hovered = stage;
    if (stage) stage.element.addEventListener("wheel", wheeled, { passive: false });
  }

  function typed(event) {
    const { target, key } = event;
    const typing = target.matches("select, textarea, input:not([type=range], [type=radio])");
    const chord = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
    const focused = document.activeElement.closest(".viewer");
    const modal = document.querySelector("dialog[open]");
    const figure = focused || (modal ? modal.querySelector(".viewer") : hovered && hovered.element.closest(".viewer"));
    if (typing || chord || !figure || document.querySelector(".key-list")) return;
    const stage = stageOf(figure);
    if (!stage) return;
    const onStage = target === stage.element || target === document.body;
    if (key === " " && onStage) spaceHeld = true;
    else if (onStage && key.startsWith("Arrow") && !arrow(stage, event)) return;
    else if (modal && modal.neighbor && (key === "j" || key === "k")) modal.neighbor(key === "j" ? 1 : -1);
    else if (key === "Enter" && !onStage) return;
    else if (ACTIONS.has(key.toLowerCase())) ACTIONS.get(key.toLowerCase()).does(stage, event.shiftKey);
    else if (!key.startsWith("Arrow") || !onStage) return;
    event.preventDefault();
  }

  // Whether an arrow key did something; at fit the page scrolls.
  function arrow(stage, { key, shiftKey }) {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (shiftKey) stage.window(-x / 20, y / 20);
    else if (stage.element.classList.contains("zoomed")) stage.pan(-40 * x, -40 * y);
    else return false;
    return true;
  }

  function start() {
    document.documentElement.classList.add("scripted");
    const near = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        near.unobserve(target);
        show(target);
      }
    }, { rootMargin: "800px" });
    for (const figure of document.querySelectorAll(".viewer:has(.sheet)")) near.observe(figure);
    const listeners = { pointerdown: pressed, pointermove: moved, pointerup: released, pointercancel: released, pointerover: entered, focusin: (event) => { stageAt(event.target); }, keydown: typed };
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);
    document.addEventListener("keyup", (event) => { if (event.key === " ") spaceHeld = false; });
    document.addEventListener("contextmenu", (event) => { if (stageAt(event.target)) event.preventDefault(); });
  }

  start();
  return { ImagePainter, Stage, show, open, hands, contourWords };
})();
