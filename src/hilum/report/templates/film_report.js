"use strict";
// Shows and sorts the cards as the form and the address say. Without this script all are shown,
// the largest margin first. The address holds the view, so that a link restores it:
// #show=positive&finding=Effusion&sort=priority&name=0013, and status=warn, reason=CODE, found=2.
const form = document.getElementById("filter");
const list = document.getElementById("films");
const rest = document.getElementById("unscored-films");
const extras = document.getElementById("extras");
const films = Array.from(document.querySelectorAll("article.film"), (card) => ({
  card,
  number: Number(card.dataset.number),
  study: Number(card.dataset.study),
  name: card.dataset.name.toLowerCase(),
  status: card.dataset.status,
  reasons: card.dataset.reasons.split("|").filter(Boolean),
  attention: card.dataset.attention === "1",
  outcome: card.dataset.outcome,
  scored: card.dataset.outcome !== "unscored",
  near: card.dataset.near === "1",
  priority: Number(card.dataset.priority),
  first: card.dataset.top,
  positive: card.dataset.positive.split("|").filter(Boolean),
  margins: card.dataset.margins.split("|"),
}));
const defaults = { show: "all", finding: "", sort: "priority", name: "" };
const EXTRAS = { status: "Status", reason: "Reason", found: "Positive findings" };
const STATUSES = ["warn", "ok", "reject", "error", "skip"];
let extra = {};
let sorted = "priority";
const startsOpen = rest !== null && rest.open;

const shows = {
  all: () => true,
  positive: (film) => film.outcome === "positive",
  near: (film) => film.near,
  negative: (film) => film.outcome === "negative",
  uncalled: (film) => film.outcome === "uncalled",
  attention: (film) => film.attention,
  unscored: (film) => !film.scored,
};

function view() {
  const chosen = Object.fromEntries(new FormData(form));
  return { ...defaults, ...chosen, ...extra };
}

function wanted(film, wish) {
  if (!shows[wish.show](film)) return false;
  if (wish.finding && !film.positive.includes(wish.finding)) return false;
  if (wish.status && film.status !== wish.status) return false;
  if (wish.reason && !film.reasons.includes(wish.reason)) return false;
  if (wish.found && !(film.scored && film.positive.length === Number(wish.found))) return false;
  return film.name.includes(wish.name.trim().toLowerCase());
}

function margin(film, finding) {
  const place = film.positive.indexOf(finding);
  return place < 0 ? film.priority : Number(film.margins[place]);
}

// Films of one study stay together where the list is sorted by priority.
function compare(wish) {
  const listed = (a, b) => a.study - b.study || a.number - b.number;
  if (wish.sort === "name") return (a, b) => a.number - b.number;
  if (wish.sort === "status") {
    return (a, b) => STATUSES.indexOf(a.status) - STATUSES.indexOf(b.status) || listed(a, b);
  }
  if (wish.sort === "finding") {
    return (a, b) =>
      Number(!a.first) - Number(!b.first) || (a.first > b.first) - (a.first < b.first) ||
      b.priority - a.priority || listed(a, b);
  }
  const highest = new Map();
  for (const film of films) {
    if (!film.scored) continue;
    const mine = margin(film, wish.finding);
    highest.set(film.study, Math.max(mine, highest.get(film.study) ?? mine));
  }
  return (a, b) => (highest.get(b.study) ?? -99) - (highest.get(a.study) ?? -99) || listed(a, b);
}

function sort(wish) {
  const key = `${wish.sort} ${wish.sort === "priority" ? wish.finding : ""}`.trim();
  if (key === sorted) return;
  sorted = key;
  const order = films.toSorted(compare(wish));
  list.append(...order.filter((film) => film.scored).map((film) => film.card));
  if (rest) rest.querySelector("div").append(...order.filter((film) => !film.scored).map((film) => film.card));
}

function apply() {
  const wish = view();
  sort(wish);
  let shown = 0;
  let unscored = 0;
  for (const film of films) {
    const hidden = !wanted(film, wish);
    if (film.card.hidden !== hidden) film.card.hidden = hidden;
    shown += hidden ? 0 : 1;
    unscored += hidden || film.scored ? 0 : 1;
  }
  if (rest) {
    rest.hidden = unscored === 0;
    // open where it is what was asked for, and as before otherwise
    rest.open = startsOpen || (unscored > 0 && (wish.show !== "all" || Boolean(wish.status || wish.reason || wish.name.trim())));
  }
  document.getElementById("shown").textContent = `${shown} of ${films.length} shown`;
  document.getElementById("none").hidden = shown > 0 || films.length === 0;
  chips();
}

function chips() {
  const buttons = Object.entries(extra).map(([key, value]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${EXTRAS[key]}: ${value} ×`;
    button.setAttribute("aria-label", `Remove the filter ${EXTRAS[key]}: ${value}`);
    button.addEventListener("click", () => {
      delete extra[key];
      changed();
    });
    return button;
  });
  extras.replaceChildren(...buttons);
}

function address() {
  const wish = view();
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(wish)) {
    if (value.trim() && value !== defaults[key]) words.set(key, value.trim());
  }
  return words.toString();
}

// Pages of one archive are filtered alike.
function carry(hash) {
  for (const link of document.querySelectorAll("nav.pages a")) {
    link.setAttribute("href", link.getAttribute("href").replace(/#.*$/, "") + (hash && `#${hash}`));
  }
}

function changed() {
  apply();
  const hash = address();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
  carry(hash);
}

// Takes the view from the address; a word that the form does not have is passed over.
function restore() {
  const words = new URLSearchParams(location.hash.slice(1));
  form.reset();
  extra = {};
  for (const [key, value] of words) {
    if (key in EXTRAS) extra[key] = value;
    else if (key === "show" && Object.hasOwn(shows, value)) form.elements.show.value = value;
    else if (key === "name") form.elements.name.value = value;
    else if (key === "sort" || key === "finding") {
      const field = form.elements[key];
      if (Array.from(field.options, (option) => option.value).includes(value)) field.value = value;
      else if (key === "finding") field.add(new Option(value, value, false, true));
    }
  }
  apply();
  carry(address());
}

function follow() {
  const place = /^#film-\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
  if (!place) {
    restore();
    return;
  }
  // a link leads to its film even when the filter hides it
  if (place.hidden) {
    form.reset();
    extra = {};
    apply();
  }
  if (rest && rest.contains(place)) rest.open = true;
  place.scrollIntoView();
}

form.addEventListener("input", changed);
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", follow);
if (rest) {
  let before = false;
  window.addEventListener("beforeprint", () => {
    before = rest.open;
    rest.open = true;
  });
  window.addEventListener("afterprint", () => {
    rest.open = before;
  });
}
form.hidden = false;
follow();
