// Two pages of numbers: all films in counts that lead to the list, and how far readers agree.
import * as api from "./api.js";
import { draw, make, toggle } from "./element.js";
import { address } from "./route.js";
import { SCORED, STATUSES, findingName } from "./words.js";

const NAMES = { all: "Films", unread: "Unread by you", read: "Read by you", positive: "With a positive finding", near: "Near a threshold",
  not_scored: "Not scored", conflict: "Readers differ", second_look: "Second look", queued: "Waiting" };

const number = (value) => value.toLocaleString("en");
const bar = (share) => draw("svg", { class: "count-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
  draw("rect", { class: "track", width: 100, height: 10 }), draw("rect", { class: "fill", width: 100 * share, height: 10 }));

function table(title, note, rows) {
  if (!rows.length) return null;
  const most = Math.max(...rows.map((row) => row.films));
  return make("section", { class: "card" }, make("h2", { text: title }), note ? make("p", { class: "note", text: note }) : null,
    make("table", { class: "counts" }, make("tbody", {}, ...rows.map(({ words, more, films, query, of }) => make("tr", {},
      make("th", { scope: "row" }, make("bdi", { text: words }), more ? make("small", { text: more }) : null),
      make("td", { class: "bar-cell" }, bar(films / (of || most || 1))),
      make("td", { class: "count" }, films && query ? make("a", { href: address(query), text: number(films), title: `List of these ${number(films)} films` }) : number(films)))))));
}

// Whether films and scores are still as in the reference that the bundle carries.
function watched(watch) {
  if (!watch) return null;
  const alarm = watch.verdict === "alarm";
  return make("section", { class: alarm ? "card watch alarm" : "card watch", "aria-labelledby": "watch-title" },
    make("h2", { id: "watch-title", text: alarm ? "Alarm: films or scores changed" : "Compared with the reference" }),
    make("p", { text: watch.day ? `${watch.day}: ${watch.verdict}. ${number(watch.alarmed)} of ${number(watch.days)} days alarmed; 1 in ${Math.round(1 / watch.false_alarms)} would by chance.`
      : watch.verdict || "No day was compared yet." }),
    watch.moved.length ? make("ul", {}, ...watch.moved.map((text) => make("li", { text }))) : make("p", { text: watch.words }),
    watch.rule_void ? make("p", {}, make("strong", { text: "The rule-out rule is void: refer every film until it is fitted again." })) : null,
    make("p", { class: "note", text: `An alarm says that films or scores changed; it does not say that accuracy fell.${watch.apart ? ` ${number(watch.apart)} films without a patient are not compared.` : ""}` }));
}

// Every count is a link to the films that it counts.
export async function overview(element) {
  const found = await api.summary();
  const counts = Object.keys(NAMES).filter((key) => key in found.counts && (found.counts[key] || ["all", "unread", "read"].includes(key)));
  const rows = (counted, make_) => Object.entries(counted).map(([value, films]) => ({ films, ...make_(value) }));
  element.replaceChildren(make("div", { class: "page" },
    make("h1", { text: "Overview" }),
    make("p", { class: "note", text: found.blinded
      ? "Readers are blinded: only what tells nothing of the model or of other readers is counted."
      : "Counts of the films in this service; each leads to its films. They are no prevalence: thresholds trade misses against false calls." }),
    watched(found.watch),
    make("ul", { class: "tiles" }, ...counts.map((key) => make("li", {}, make("a", { href: address({ state: key === "all" ? "" : key }) },
      make("b", { text: number(found.counts[key]) }), make("span", { text: NAMES[key] }))))),
    make("div", { class: "cards" },
      table("Positive findings", "Films at or above the threshold of each finding; the bar is their share of scored films.", found.findings.filter((one) => one.positive)
        .map((one) => ({ words: findingName(one.finding), films: one.positive, of: one.scored, query: { finding: one.finding } }))),
      table("Outcome", "", rows(found.statuses, (status) => ({ words: STATUSES[status] || status, query: { status, state: SCORED.has(status) ? "" : "not_scored" } }))),
      table("Reasons", "What the result of a film says beside its scores, or in their place.", found.reasons.map((one) => ({ words: one.sentence, more: ` ${one.code}`, films: one.films, query: { code: one.code, state: one.scored ? "" : "not_scored" } }))),
      table("View", "", rows(found.views, (view) => ({ words: view, query: { view } }))),
      table("Readers", "Films that each has read.", found.readers.map((one) => ({ words: one.name || one.reader, more: one.name ? ` ${one.reader}` : "", films: one.films, of: found.counts.all, query: { reader: one.reader } }))))));
}

const LOW = -0.4;
const place = (value) => (100 * (Math.min(Math.max(value, LOW), 1) - LOW)) / (1 - LOW);
const short = (value) => value.toFixed(2).replace("-", "−");
const said = ({ value, low, high }) => (value === null ? "–" : low === null ? `${short(value)} [–]` : `${short(value)} [${short(low)}, ${short(high)}]`);

// Kappas with their intervals on one axis, 0 (chance) marked.
function forest(...lines) {
  const shown = lines.filter(([one]) => one.value !== null);
  const shapes = shown.flatMap(([one, kind], at) => {
    const y = (20 * (at + 0.5)) / shown.length;
    return [one.low === null ? null : draw("path", { class: `whisker ${kind}`, d: `M${place(one.low)} ${y}H${place(one.high)}` }),
      draw("path", { class: `dot ${kind}`, d: `M${place(one.value)} ${y - 4}V${y + 4}` })];
  });
  return draw("svg", { class: "forest", viewBox: "0 0 100 20", preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("path", { class: "chance", d: `M${place(0)} 0V20` }), draw("path", { class: "chance end", d: "M99.7 0V20" }), ...shapes);
}

const why = (one) => (one.low === null && one.reason ? make("small", { class: "why", text: ` ${one.reason}` }) : null);

function pairs(one, name) {
  return make("details", {}, make("summary", { text: `${one.pairs.length} ${one.pairs.length === 1 ? "pair" : "pairs"}` }),
    make("ul", { class: "pairs" }, ...one.pairs.map((pair) => make("li", {},
      make("b", {}, make("bdi", { text: name(pair.one) }), " and ", make("bdi", { text: name(pair.other) })), `: kappa ${said(pair.kappa)}. `,
      `${pair.films} films of ${pair.patients} patients: both present ${pair.both}, both absent ${pair.neither}, only ${name(pair.one)} ${pair.only_one}, only ${name(pair.other)} ${pair.only_other}.`, why(pair.kappa)))));
}

export async function agreement(element, blinded = false) {
  const found = await api.agreement(blinded);
  const name = (one) => (one === "model" ? "the model" : one);
  const choice = toggle("Blinded readings only", () => agreement(element, !blinded).then(() => element.querySelector("button").focus()));
  choice.on = blinded;
  const rows = found.findings.map((one) => make("tr", {},
    make("th", { scope: "row" }, make("span", { text: findingName(one.finding) }), make("small", { text: ` n = ${one.films}` })),
    make("td", { class: "forest-cell" }, forest([one.readers, "readers"], [one.model, "model"])),
    make("td", { class: "readers", dataset: { label: "Readers" } }, make("span", { text: said(one.readers) }), why(one.readers)),
    make("td", { class: "model", dataset: { label: "Model with readers" } }, make("span", { text: said(one.model) }), why(one.model)),
    make("td", { class: "difference", dataset: { label: "Difference" } }, make("span", { text: said(one.difference) }), why(one.difference))));
  const more = found.findings.map((one) => make("tr", { class: "more" }, make("td", { colspan: 5 }, pairs(one, name))));
  const head = ["Finding", "−0.4 to 1; the line is chance", "Readers", "Model with readers", "Difference"];
  element.replaceChildren(make("div", { class: "page" },
    make("h1", { text: "Agreement of readers" }),
    make("p", { class: "note", text: "Cohen's kappa with its 95 % interval: agreement beyond what chance gives. 1 is full agreement, 0 is chance. With more than two readers, the mean of all pairs. "
      + `Intervals are of ${number(found.resamples)} draws of patients. A finding that a reader called uncertain, or did not judge, is no call.` }),
    make("p", { class: "note", text: `${number(found.readings)} readings by ${found.readers.length} readers, ${number(found.blinded_readings)} of them blinded. A reader who has seen a score is drawn to it, so unblinded readings agree with the model more than they would. Agreement is not being right.` }),
    make("p", {}, choice),
    found.findings.length
      ? make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Agreement by finding" }, make("table", { class: "agreement" },
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", text })))), make("tbody", {}, ...rows.flatMap((row, at) => [row, more[at]]))))
      : make("p", { class: "nothing", text: blinded ? "No blinded reading says a finding is present or absent." : "No reading says yet that a finding is present or absent." })));
}
