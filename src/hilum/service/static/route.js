// What the address says: which film, and which part of the list. It holds ids and filters, no names.
const FIELDS = ["state", "finding", "view", "status", "code", "reader", "q", "sort"];
const NUMBERS = ["overview", "agreement"];

export function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const film = /^films\/([^/]+)$/.exec(path);
  const given = new URLSearchParams(search);
  const query = Object.fromEntries(FIELDS.filter((key) => given.get(key)).map((key) => [key, given.get(key)]));
  return { page: NUMBERS.includes(path) ? path : null, film: film ? decodeURIComponent(film[1]) : null, query };
}

// Whether the page has the layout of a phone: by its width in the size of its text, as page.css has it.
export const isPhone = () => innerWidth < 37.5 * rem();

// CSS pixels of a rem: the layout grows with the text of the page.
export const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

export function address(query, film = null) {
  const kept = FIELDS.filter((key) => query[key]).map((key) => [key, query[key]]);
  const search = new URLSearchParams(kept).toString();
  return `#/films${film ? `/${encodeURIComponent(film)}` : ""}${search ? `?${search}` : ""}`;
}
