// The start of the page: who reads, what the address asks for, and the parts put together.
import * as api from "./api.js";
import { button, make } from "./element.js";
import { FilmView } from "./film.js";
import { Keys } from "./keys.js";
import { restoreMouse } from "./mouse.js";
import { agreement, overview } from "./numbers.js";
import { warm } from "./picture.js";
import { address, isPhone, route } from "./route.js";
import { Upload } from "./upload.js";
import { Worklist } from "./worklist.js";

const part = (id) => document.getElementById(id);
const main = document.querySelector("main");
const SAY_MS = 3000;
const BEGUN = "hilum-session";

// Say something in passing: to screen readers as well, and over nothing that is worked with.
function say(text) {
  part("status").textContent = text;
  clearTimeout(say.ends);
  if (text) say.ends = setTimeout(() => say(""), SAY_MS);
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("hilum-theme", name);
}

// The secret of a one-time link leaves the address before anything else happens. Whoever never
// began a session here is not asked for one: the answer would be an error in the console.
async function enter() {
  const once = new URLSearchParams(location.hash.slice(1)).get("once");
  if (once) {
    history.replaceState(null, "", location.pathname);
    await begin(once);
  }
  return localStorage.getItem(BEGUN) ? api.session() : null;
}

async function begin(token) {
  await api.begin(token);
  localStorage.setItem(BEGUN, "yes");
}

function signIn(message) {
  main.dataset.view = "sign-in";
  const input = make("input", { type: "password", name: "token", autocomplete: "off", required: true, maxlength: 200, id: "token" });
  const trouble = make("p", { role: "alert", text: message });
  const form = make("form", {}, make("h2", { text: "Sign in" }),
    make("p", { text: "The link that hilum serve prints works once. Otherwise a token opens the page; hilum serve token add makes one." }),
    make("label", { for: "token", text: "Token" }), input, make("button", { type: "submit", class: "main", text: "Sign in" }), trouble);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await begin(input.value);
      part("sign-in").hidden = true;
      await run(await api.session());
    } catch (error) {
      trouble.textContent = error.message;
      input.value = "";
    }
  });
  part("sign-in").hidden = false;
  part("sign-in").replaceChildren(form);
  input.focus();
}

async function run(session) {
  const bundle = await api.bundle();
  const list = new Worklist(part("list"), session, bundle, () => {});
  const neighbor = (id, by) => list.neighbor(id, by);
  const go = async (by) => {
    const here = route();
    const film = here.film ? await list.neighbor(here.film, by) : list.films[0];
    if (film) location.hash = address(here.query, film.id);
    else say(by > 0 ? "This was the last film" : "This is the first film");
  };
  const drawer = (open) => {
    if (isPhone()) location.hash = address(route().query);
    else {
      main.classList.toggle("drawer", open);
      list.rows.focus(Math.max(0, list.indexOf(route().film)));
    }
  };
  part("list").prepend(button("Close list", () => main.classList.remove("drawer"), { class: "close-list" }));
  const film = new FilmView(part("film"), part("findings"), { session, bundle, say, neighbor }, {
    go,
    updated: (id, reading) => list.update(id, reading),
    list: () => drawer(),
  });
  const keys = new Keys(actions(film, go, () => keys.list()), (event, only) => film.overlay?.drawing && (only || film.overlay.key(event)));
  frame(session, keys, list);
  part("film").addEventListener("pointerdown", () => main.classList.remove("drawer"));

  let shown = null;
  let cold = true;
  const places = placesOf(session);
  async function follow() {
    const here = route();
    const asked = here.page || address(here.query, here.film);
    // numbers are of now: coming back to them asks again
    if (shown === asked && !here.page) return;
    shown = asked;
    places(here.page);
    if (here.page) {
      film.close();
      main.dataset.view = "numbers";
      await (here.page === "overview" ? overview : agreement)(part("numbers")).catch((error) => part("numbers").replaceChildren(make("p", { class: "nothing", text: error.message })));
      return;
    }
    main.dataset.view = here.film ? "film" : "list";
    main.classList.remove("drawer");
    say("");
    if (!here.film) film.close();
    const opened = here.film ? film.open(here.film) : null;
    await list.show(here.query, here.film);
    await opened;
    if (!here.film && cold && list.films[0]) {
      cold = false;
      const { links } = list.films[0];
      requestIdleCallback(() => warm(links));
    }
    if (!here.film && document.activeElement === document.body) list.rows.focus(0);
  }
  window.addEventListener("hashchange", follow);
  window.addEventListener("beforeunload", (event) => {
    film.flush();
    if (film.unsaved) event.preventDefault();
  });
  if (!location.hash || location.hash === "#") {
    history.replaceState(null, "", `${location.pathname}${address(session.blinded ? {} : { state: "unread" })}`);
  }
  await follow();
}

// The pages of this one, as links; those that its reader may not see are left out.
function placesOf(session) {
  const list = address(session.blinded ? {} : { state: "unread" });
  const compares = session.scopes.includes(session.blinded ? "admin" : "review");
  const shown = [["", "Films", list], ["overview", "Overview", "#/overview"], ["agreement", "Agreement", "#/agreement"]]
    .filter(([page]) => page !== "agreement" || compares)
    .map(([page, text, href]) => [page, make("a", { href, text })]);
  document.querySelector(".places").replaceChildren(...shown.map(([, link]) => link));
  return (now) => shown.forEach(([page, link]) => {
    if (page === (now || "")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
}

function actions(film, go, keys) {
  const on = (does) => () => {
    if (!film.film) return false;
    return does();
  };
  const tool = (key, help) => [key, { help, does: on(() => film.press(key)) }];
  const inList = (event) => event.target instanceof Element && event.target.closest(".rows");
  const step = (by) => ({ help: by > 0 ? "next finding" : "finding before", does: (event) => film.film && !inList(event) ? film.step(by) : false });
  return new Map([
    ["j", { help: "next film", does: (event) => (film.film || !inList(event) ? go(1) : false) }],
    ["k", { help: "film before", does: (event) => (film.film || !inList(event) ? go(-1) : false) }],
    ["arrowdown", step(1)],
    ["arrowup", step(-1)],
    ["p", { help: "the chosen finding is present", does: on(() => film.judge("present")) }],
    ["a", { help: "it is absent", does: on(() => film.judge("absent")) }],
    ["u", { help: "it is uncertain; the same key again: not judged", does: on(() => film.judge("uncertain")) }],
    ["g", { help: "agree with the rest", does: on(() => film.flip("agree_with_rest")) }],
    ["x", { help: "unreadable", does: on(() => film.flip("unreadable")) }],
    ["s", { help: "second look", does: on(() => film.flip("second_look")) }],
    tool("b", "box of the chosen finding"),
    ["n", { help: "note; Esc leaves it", does: on(() => part("note").focus()) }],
    ["z", { help: "undo", does: on(() => film.undo()) }],
    ["ctrl+enter", { help: "commit a blinded reading", does: on(() => film.commit()) }],
    tool("h", "map on or off"),
    tool("c", "contour at 50 or 80 % of the map's scale, or none"),
    tool("m", "maps of the film each on its own scale, or all on one"),
    tool("[", "map fainter"),
    tool("]", "map stronger"),
    tool("i", "black and white exchanged"),
    tool("1", "window: as stored"),
    tool("2", "window: full"),
    tool("3", "window: lung"),
    tool("4", "window: bone"),
    tool("5", "window: mediastinum"),
    tool("v", "next film of the same patient beside this one"),
    tool("l", "both films zoomed and moved together, or apart"),
    tool("-", "zoom out"),
    tool("+", "zoom in"),
    tool("0", "whole film"),
    tool("=", "one pixel of the film a pixel of the screen"),
    tool("r", "as the film opened"),
    ["/", { help: "search films", does: () => document.querySelector("#list input[type=search]").focus() }],
    ["escape", { help: "back to the list", does: on(() => {
      if (main.classList.contains("drawer")) main.classList.remove("drawer");
      else location.hash = address(route().query);
    }) }],
    ["?", { help: "this list", does: keys }],
  ]);
}

function frame(session, keys, list) {
  const tools = document.querySelector(".frame-tools");
  const dark = () => document.documentElement.dataset.theme === "dark";
  const light = button(dark() ? "Light" : "Dark", () => {
    theme(dark() ? "light" : "dark");
    light.textContent = dark() ? "Light" : "Dark";
  }, { title: "Light or dark page" });
  const add = [];
  if (!session.review_only && session.scopes.includes("submit")) {
    const upload = new Upload(part("uploads"), () => list.load());
    add.push(button("Add films", () => upload.picker.click(), { class: "main" }), button("Add folder", () => upload.folder.click(), { class: "folder" }));
  }
  tools.replaceChildren(...add, make("span", { class: "who" }, make("bdi", { text: session.name })), button("Keys", () => keys.list(), { title: "List of keys (?)" }), light,
    button("Sign out", async () => {
      await api.end().catch(() => {});
      localStorage.removeItem(BEGUN);
      location.reload();
    }));
}

async function start() {
  theme(localStorage.getItem("hilum-theme") || "dark");
  restoreMouse();
  try {
    const session = await enter();
    if (session) await run(session);
    else signIn("");
  } catch (error) {
    if ([401, 429].includes(error.status)) signIn(error.message);
    else say(error.message);
    if (!("status" in error)) throw error;
  }
}

await start();
