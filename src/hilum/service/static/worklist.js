// The list of films: filters and counters in the address, rows in sight only, failed inputs apart.
import * as api from "./api.js";
import { button, make } from "./element.js";
import { marginBar } from "./margin_bar.js";
import { address, rem } from "./route.js";
import { Rows } from "./rows.js";
import { SCORED, STATUSES, clock, factor, findingName, pair } from "./words.js";

const COUNTERS = [
  ["", "all", "All"], ["unread", "unread", "Unread"], ["positive", "positive", "Positive"],
  ["near", "near", "Near threshold"], ["not_scored", "not_scored", "Not scored"],
  ["conflict", "conflict", "Conflict"], ["second_look", "second_look", "Second look"],
];
// header, sort orders that a click goes through, and the one that is shown as in use without any
const COLUMNS = [
  ["priority", "Priority", ["priority"]],
  ["name", "Film", ["name", "-name"]],
  ["top", "Top finding", []],
  ["view", "View", ["view"]],
  ["added", "Added", ["-added", "added"]],
  ["status", "Status", ["status"]],
  ["reader", "Readings", ["-readings", "readings"]],
  ["second", "Second look", ["-second_look", "second_look"]],
];
const SORTS = [
  ["priority", "unread, largest margin first"], ["name", "name"], ["-name", "name, Z to A"], ["-added", "newest first"],
  ["added", "oldest first"], ["status", "status"], ["view", "view"], ["-readings", "most readings"], ["readings", "fewest readings"],
  ["-second_look", "second look asked for first"], ["second_look", "second look asked for last"],
];
const HIDDEN_SORTS = new Set(["priority", "status", "-readings", "readings", "-second_look", "second_look"]);
const VIEWS = ["PA", "AP", "frontal", "LL", "other", "unknown"];
const NARROW_REM = 72;  // what the columns need; a narrower list has two lines a film
const FIRST = 50;
const PAGE = 200;

export class Worklist {
  // changed(): the list has other films than before.
  constructor(element, session, bundle, changed) {
    Object.assign(this, { element, session, bundle, changed, query: null, film: null, run: 0 });
    this.empty();
    this.build();
  }

  empty() {
    Object.assign(this, { films: [], failed: new Set(), cursor: "", done: false, loading: null, total: 0 });
  }

  build() {
    this.counters = make("nav", { class: "counters", "aria-label": "Parts of the list" });
    this.back = make("a", { class: "back", text: "← Whole list" });
    this.search = make("input", { type: "search", placeholder: "Part of a name", "aria-label": "Films whose name contains", maxlength: 200 });
    this.search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.filter("q", this.search.value), 120);
    });
    const blind = this.session.blinded;
    const chosen = (field, label, options) => {
      const made = make("select", { "aria-label": label }, ...options.map(([value, text]) => make("option", { value, text })));
      made.addEventListener("change", () => this.filter(field, made.value));
      return made;
    };
    const names = this.bundle.findings.map((name) => [name, findingName(name)]);
    this.finding = blind ? null : chosen("finding", "Positive finding", [["", "Any finding"], ...names]);
    this.view = chosen("view", "View", [["", "Any view"], ...VIEWS.map((one) => [one, one])]);
    const sorts = blind
      ? SORTS.filter(([sort]) => !HIDDEN_SORTS.has(sort))
      : [...SORTS, ...names.map(([name, text]) => [`finding:${name}`, `most probable ${text}`])];
    this.sort = chosen("sort", "Order", sorts);
    this.extra = make("p", { class: "extra" });
    this.summary = make("p", { class: "summary", role: "status" });
    this.head = make("div", { class: "row head", role: "row", "aria-rowindex": 1 });
    this.body = make("div", { class: "rows", role: "rowgroup" });
    this.table = make("div", { class: "worklist", role: "table", "aria-label": "Films" },
      make("div", { role: "rowgroup", class: "heads" }, this.head), this.body);
    this.apart = make("p", { class: "apart" });
    this.element.append(
      make("div", { class: "list-filters" }, this.back, this.counters,
        make("div", { class: "fields" }, this.search, this.finding, this.view, make("label", {}, make("span", { text: "Order" }), this.sort))),
      this.extra, this.summary, this.table, this.apart);
    this.rows = new Rows(this.body, (index) => this.row(index), (last) => this.ensure(last));
    this.body.addEventListener("keydown", (event) => this.typed(event));
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  filter(field, value) {
    const plain = field === "sort" && value === (this.session.blinded ? "name" : "priority");
    location.hash = address({ ...this.query, [field]: plain ? "" : value });
  }

  // Show the part of the list that the address names, and mark the film that is open.
  async show(query, film) {
    const same = this.query && address(query) === address(this.query);
    this.query = query;
    this.mark(film);
    if (same) return;
    await this.load();
  }

  mark(film) {
    if (film === this.film) return;
    this.film = film;
    this.rows.renew();
    const index = this.indexOf(film);
    if (index >= 0) this.rows.reveal(index);
  }

  async load() {
    this.run += 1;
    this.stop?.abort();
    this.stop = new AbortController();
    this.empty();
    this.body.scrollTop = 0;
    if (document.activeElement !== this.search) this.search.value = this.query.q || "";
    if (this.finding) this.finding.value = this.query.finding || "";
    this.view.value = this.query.view || "";
    this.sort.value = this.query.sort || (this.session.blinded ? "name" : "priority");
    this.heads();
    await this.more(FIRST);
    this.changed();
  }

  ensure(last) {
    if (!this.done && !this.loading && last >= this.films.length) this.more(PAGE);
  }

  more(limit) {
    const { run } = this;
    this.loading = this.page(limit, run).finally(() => {
      if (run !== this.run) return;
      this.loading = null;
      this.rows.paint();
    });
    return this.loading;
  }

  async page(limit, run) {
    let page;
    try {
      page = await api.films(this.query, this.cursor, limit, this.stop.signal);
    } catch (error) {
      if (run !== this.run || error.name === "AbortError") return;
      this.done = true;
      this.rows.set(0, this.rowHeight());
      this.summary.textContent = error.message;
      return;
    }
    if (run !== this.run) return;
    this.take(page);
  }

  take(page) {
    const before = this.films.length;
    for (const film of page.films) {
      if (this.query.state !== "not_scored" && film.status && !SCORED.has(film.status)) this.failed.add(film.id);
      else this.films.push(film);
    }
    this.cursor = page.next || "";
    this.done = !page.next;
    this.counts = page.counts;
    const { q, finding, view, reader, status, code, state } = this.query;
    const known = q || finding || view || reader || status || code ? 0 : page.counts[state || "all"] || 0;
    const apart = state ? this.failed.size : page.counts.not_scored || 0;
    this.total = this.done ? this.films.length : Math.max(known - apart, this.films.length + 1);
    this.count();
    this.rows.set(this.total, this.rowHeight());
    for (let index = before; index < this.films.length; index += 1) if (this.rows.made.has(index)) this.rows.renew(index);
    this.table.setAttribute("aria-rowcount", this.total + 1);
  }

  count() {
    const { state, ...rest } = this.query;
    this.back.href = address(this.query);
    this.counters.replaceChildren(...COUNTERS.filter(([, key]) => key in this.counts).map(([value, key, words]) =>
      make("a", { href: address({ ...rest, state: value }), class: key, "aria-current": (state || "") === value ? "true" : null },
        words, " ", make("b", { text: this.counts[key].toLocaleString("en") }))));
    const extra = [["status", "Outcome", STATUSES[rest.status] || rest.status], ["code", "Reason", rest.code], ["reader", "Read by", rest.reader]].filter(([field]) => rest[field]);
    this.extra.replaceChildren(...extra.map(([field, words, value]) => button(`${words}: ${value} ✕`, () => this.filter(field, ""), { title: `Films of any ${words.toLowerCase()}` })));
    this.summary.textContent = this.films.length ? "" : state === "unread" ? "Every film of this part of the list is read." : "No film here.";
    const failed = this.query.state !== "not_scored" && this.counts.not_scored;
    this.apart.replaceChildren(...(failed ? [
      make("a", { href: address({ state: "not_scored" }), text: `${failed} ${failed === 1 ? "input was" : "inputs were"} not scored` }),
      " (listed apart, with the reason)"] : []));
  }

  heads() {
    const blind = this.session.blinded;
    const now = this.query.sort || (blind ? "name" : "priority");
    this.head.replaceChildren(...COLUMNS.map(([column, words, sorts]) => {
      const usable = sorts.filter((sort) => !(blind && HIDDEN_SORTS.has(sort)));
      const at = sorts.indexOf(now);
      const order = at < 0 ? null : now === "priority" || now.startsWith("-") ? "descending" : "ascending";
      const next = usable[(at + 1) % usable.length];
      const inner = usable.length ? button(words, () => this.filter("sort", next)) : make("span", { text: words });
      return make("span", { role: "columnheader", class: column, "aria-sort": order }, inner);
    }));
    this.table.classList.toggle("blind", blind);
    this.table.classList.toggle("failed", this.query.state === "not_scored");
  }

  get narrow() { return this.element.clientWidth < NARROW_REM * rem(); }

  rowHeight() {  // in CSS the same
    return rem() * (this.query?.state === "not_scored" ? 6.5 : this.narrow ? 4 : 2.875);
  }

  resize() {
    this.element.classList.toggle("narrow", this.narrow);
    if (this.query && this.rowHeight() !== this.rows.height) this.rows.set(this.total, this.rowHeight());
  }

  row(index) {
    const film = this.films[index];
    if (!film) return make("div", { class: "row waiting", role: "row" }, make("span", { role: "cell", class: "name", text: "…" }));
    const cell = (name, ...inner) => make("span", { role: "cell", class: name }, ...inner);
    const here = film.id === this.film;
    const link = make("a", { href: address(this.query, film.id), "aria-current": here ? "true" : null, title: film.name },
      make("bdi", { text: film.name }));
    const failed = film.status && !SCORED.has(film.status);
    const picture = failed ? make("span", { role: "cell", class: "picture" },
      film.links.preview ? make("img", { src: film.links.preview, alt: "", loading: "lazy" }) : make("span", { text: "no picture" })) : null;
    const about = film.patient ? make("small", { text: film.patient, title: film.patient }) : null;
    return make("div", { class: `row${here ? " here" : ""}${film.reading.read_by_me ? " read" : ""}`, role: "row" },
      ...(failed ? [picture, cell("name", link), cell("reason", make("bdi", { text: film.message || STATUSES[film.status] }), " ", make("code", { text: film.codes.join(", ") }))]
        : [cell("priority", ...this.priority(film)), cell("name", link, about), cell("top", ...this.top(film))]),
      cell("view", film.view && film.view !== "unknown" ? film.view : "–"),
      cell("added", clock(film.added)),
      cell(`status ${film.status || film.state}`, make("span", { class: "chip", text: STATUSES[film.status || film.state] || film.state })),
      cell("reader", ...this.readings(film)),
      cell("second", film.reading.second_look ? make("span", { class: "flag", text: "Asked for" }) : "–"));
  }

  priority(film) {
    if (film.priority === null) return ["–"];
    return [make("span", { text: factor(film.priority), title: "Odds of the top finding over those of its threshold" })];
  }

  top(film) {
    if (!film.top) return [film.blinded ? "shown after your reading" : "–"];
    const { finding, probability, threshold, margin } = film.top;
    const [ours, theirs] = pair(probability, threshold);
    const more = film.positives.length - 1;
    return [
      make("span", { class: `finding ${margin >= 0 ? "above" : film.near.length ? "near" : "below"}` },
        make("strong", { text: findingName(finding) }),
        make("span", { class: "numbers", text: ` ${ours}` }, make("small", { text: `, threshold ${theirs}` })),
        more > 0 ? make("small", { class: "more", text: ` +${more}`, title: film.positives.map(findingName).join(", ") }) : null),
      marginBar(margin),
    ];
  }

  readings({ reading }) {
    const words = reading.read_by_me ? "✓ Read" : reading.readings ? "Read by others" : "Unread";
    const count = reading.readings > 1 ? ` (${reading.readings})` : "";
    return [make("span", { class: reading.read_by_me ? "done" : "open", text: words + count, title: reading.read_by_me ? "Read by you" : null }),
      reading.conflict ? make("span", { class: "flag conflict", text: "Conflict" }) : null];
  }

  typed(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: 10, PageUp: -10 }[event.key];
    const held = this.rows.held();
    if (!by || held === null || event.ctrlKey || event.altKey || event.metaKey) return;
    this.rows.focus(Math.min(Math.max(held + by, 0), Math.max(this.films.length - 1, 0)));
    event.preventDefault();
    event.stopPropagation();
  }

  indexOf(film) { return this.films.findIndex((one) => one.id === film); }

  // The film before or after another; the next page comes where the list goes on.
  async neighbor(film, by) {
    const index = this.indexOf(film) + by;
    while (index >= this.films.length && !this.done) await (this.loading || this.more(PAGE));
    return this.films[index] || null;
  }

  // A film was read: its row says so; it stays where it is, so that nobody loses the place.
  update(id, reading, count = true) {
    const index = this.indexOf(id);
    const before = this.films[index]?.reading;
    if (!before) return;
    const now = { ...before, ...reading };
    if (count && now.read_by_me && !before.read_by_me) {
      if (this.counts.unread) this.counts.unread -= 1;
      now.readings = before.readings + 1;
    }
    if (now.second_look !== before.second_look && "second_look" in this.counts) this.counts.second_look += now.second_look ? 1 : -1;
    this.films[index].reading = now;
    this.count();
    this.rows.renew(index);
  }
}
