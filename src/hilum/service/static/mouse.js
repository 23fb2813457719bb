// What a drag with each mouse button does: chosen by the reader, and kept in this browser.
import { make } from "./element.js";

const KEPT = "hilum-mouse";
const DOES = { window: "Window: contrast and brightness", move: "Move the film", zoom: "Zoom" };

export function restoreMouse() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(KEPT)) || {};
  } catch {
    // what another page of this address wrote is no choice
  }
  for (const side of Object.keys(hilumViewer.hands)) if (kept[side] in DOES) hilumViewer.hands[side] = kept[side];
}

// Three choices, which count at once.
export function mouseChoices() {
  const choices = Object.keys(hilumViewer.hands).map((side) => {
    const options = Object.entries(DOES).map(([value, text]) => make("option", { value, text, selected: hilumViewer.hands[side] === value }));
    const made = make("select", { name: side }, ...options);
    made.addEventListener("change", () => {
      hilumViewer.hands[side] = made.value;
      localStorage.setItem(KEPT, JSON.stringify(hilumViewer.hands));
    });
    return make("label", {}, make("span", { text: `${side[0].toUpperCase()}${side.slice(1)} drag` }), made);
  });
  return make("fieldset", { class: "mouse" }, make("legend", { text: "Mouse buttons" }), ...choices);
}
