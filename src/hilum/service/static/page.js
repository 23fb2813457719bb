// A plain list of films, until the worklist stands in its place. Text is only ever text.
const message = document.getElementById("message");
const list = document.getElementById("films");

async function begin() {
  const once = new URLSearchParams(location.hash.slice(1)).get("once");
  if (!once) return;
  history.replaceState(null, "", location.pathname);
  const answer = await fetch("/v1/session", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Hilum": "1" },
    body: JSON.stringify({ token: once }),
  });
  if (!answer.ok) message.textContent = (await answer.json()).detail;
}

function item(film) {
  const row = document.createElement("li");
  if (film.links.preview) {
    const picture = document.createElement("img");
    picture.src = film.links.preview;
    picture.alt = "";
    row.append(picture);
  }
  const text = document.createElement("span");
  const found = film.positives.length ? film.positives.join(", ") : film.message;
  text.textContent = `${film.name}: ${film.status ?? film.state}. ${found}`;
  row.append(text);
  return row;
}

async function show() {
  const answer = await fetch("/v1/films?limit=200");
  const page = await answer.json();
  if (!answer.ok) {
    message.textContent = page.detail;
    return;
  }
  message.textContent = `${page.counts.all} films, ${page.counts.unread} unread`;
  list.replaceChildren(...page.films.map(item));
}

await begin();
await show();
