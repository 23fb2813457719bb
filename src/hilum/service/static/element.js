// Elements of the page. Text is only ever text: no markup is parsed anywhere.
const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "text") element.textContent = value;
    else if (key === "dataset") Object.assign(element.dataset, value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const make = (name, properties = {}, ...children) =>
  fill(document.createElement(name), properties, children);

export const draw = (name, properties = {}, ...children) =>
  fill(document.createElementNS(SVG, name), properties, children);

export const button = (words, does, properties = {}) =>
  make("button", { type: "button", text: words, onclick: does, ...properties });

// A button that is pressed or not. Set `made.on` to change it.
export function toggle(words, does, properties = {}) {
  const made = button(words, does, { "aria-pressed": "false", ...properties });
  Object.defineProperty(made, "on", {
    set: (value) => made.setAttribute("aria-pressed", Boolean(value)),
    get: () => made.getAttribute("aria-pressed") === "true",
  });
  return made;
}

// A dialog over the page, with the notice of the frame in it. It is gone when it closes.
export function popup(label, className, ...children) {
  const dialog = make("dialog", { class: className, "aria-label": label },
    make("header", {}, make("h2", { text: label }), button("Close", () => dialog.close(), { title: "Close (Esc)" })),
    make("p", { class: "notice", text: document.querySelector(".frame .notice").textContent }),
    ...children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

let last = 0;
export const fresh = (word) => `${word}-${(last += 1)}`;
