"use strict";
// Shows the cards that the filter asks for. Without this script all cards are shown.
const form = document.getElementById("filter");
const films = Array.from(document.querySelectorAll("article.film"));

function wanted(film, show, finding, name) {
  const positive = film.dataset.positive.split(" ").filter(Boolean);
  if (show === "positive" && positive.length === 0) return false;
  if (show === "attention" && film.dataset.attention !== "1") return false;
  if (finding && !positive.includes(finding)) return false;
  return film.dataset.name.toLowerCase().includes(name);
}

function apply() {
  const choices = new FormData(form);
  const name = choices.get("name").trim().toLowerCase();
  let shown = 0;
  for (const film of films) {
    film.hidden = !wanted(film, choices.get("show"), choices.get("finding"), name);
    shown += film.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = `${shown} of ${films.length} shown`;
  document.getElementById("none").hidden = shown > 0 || films.length === 0;
}

form.addEventListener("input", apply);
form.addEventListener("submit", (event) => event.preventDefault());
// A link of the list leads to its film even when the filter hides it.
window.addEventListener("hashchange", () => {
  const film = document.getElementById(location.hash.slice(1));
  if (film && film.hidden) {
    form.reset();
    apply();
    film.scrollIntoView();
  }
});
form.hidden = false;
apply();
