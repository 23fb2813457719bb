// Every key of the page. Buttons do the same; `?` lists them.
import { make, popup } from "./element.js";
import { mouseChoices } from "./mouse.js";

const HANDS = [
  ["Shift + arrows", "window: across for contrast, up and down for brightness"],
  ["Wheel, two fingers", "zoom at the pointer"],
  ["Space drag", "move the film"],
];

export class Keys {
  // actions: key in lower case -> { help, does } ; first(event): whether something else took it.
  constructor(actions, first) {
    this.actions = actions;
    this.first = first;
    window.addEventListener("keydown", (event) => this.typed(event), true);
  }

  typed(event) {
    const { target, key } = event;
    if (document.querySelector("dialog[open]")) return;
    const typing = target instanceof Element && target.matches("select, textarea, input:not([type=range], [type=radio])");
    if (key === "Escape" && typing) {
      target.blur();
      return;
    }
    const commit = key === "Enter" && event.ctrlKey;
    if (!commit && (typing || event.ctrlKey || event.altKey || event.metaKey)) return;
    const sliding = target instanceof Element && target.matches("input[type=range]") && key.startsWith("Arrow");
    if (sliding || (event.shiftKey && key.startsWith("Arrow") && !this.first(event, true))) return;
    const taken = this.first(event) || this.act(commit ? "ctrl+enter" : key.toLowerCase(), event);
    if (!taken) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  act(key, event) {
    const action = this.actions.get(key);
    return Boolean(action) && action.does(event) !== false;
  }

  list() {
    const shown = (key) => ({ arrowup: "↑", arrowdown: "↓", "ctrl+enter": "Ctrl+Enter", escape: "Esc" }[key] || key.toUpperCase());
    const rows = [...[...this.actions].filter(([, { help }]) => help).map(([key, { help }]) => [shown(key), help]), ...HANDS];
    const list = make("dl", {}, ...rows.map(([key, help]) => make("div", {}, make("dt", {}, make("kbd", { text: key })), make("dd", { text: help }))));
    popup("Keys and mouse", "key-list", make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Keys" }, mouseChoices(), list));
  }
}
