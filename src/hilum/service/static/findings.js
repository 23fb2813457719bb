// The findings of a film beside what its reader says of each: three groups, a bar, three buttons.
import { button, make, toggle } from "./element.js";
import { marginBar } from "./margin_bar.js";
import { GROUPS, JUDGMENTS, clock, factor, findingName, groupOf, margin, pair, percent } from "./words.js";

const LETTERS = { present: "P", absent: "A", uncertain: "U" };
const FINDINGS_FIRST = { above: 0, near: 1, below: 2, uncalled: 3 };

// Findings in reading order; while there is no result, in the order of the bundle.
export function inOrder(result, known) {
  const found = result?.findings;
  if (!found) return known.map((name) => ({ name, group: null, finding: null, margin: null }));
  const all = known.filter((name) => name in found).map((name) => ({
    name, finding: found[name], group: groupOf(found[name]), margin: margin(found[name]),
  }));
  return all.sort((one, other) => FINDINGS_FIRST[one.group] - FINDINGS_FIRST[other.group]
    || (other.margin ?? other.finding.probability) - (one.margin ?? one.finding.probability));
}

export class Findings {
  // does: { choose, judge, flip, note, undo, commit, compare, retry, unbox } of the film view.
  constructor(element, does) {
    Object.assign(this, { element, does, rows: new Map(), chosen: null });
  }

  show(film, scores, verdict, writable) {
    Object.assign(this, { film, scores, verdict, writable });
    this.rows.clear();
    this.element.replaceChildren(this.handle(), make("div", { class: "sheet-body" },
      ...this.cautions(), ...this.groups(), make("details", { class: "versions" }, make("summary", { text: "Readings of this film" }), make("div", { class: "list" }))), this.large(), this.whole());
    this.past = this.element.querySelector(".versions");
    this.past.addEventListener("toggle", () => this.past.open && this.does.history());
    this.sync();
  }

  // On a phone the findings are a sheet over the film; this raises and lowers it.
  handle() {
    const above = this.scores.filter((one) => one.group === "above").length;
    const words = this.scores.some((one) => one.group) ? `Findings: ${above} at or above threshold` : "Findings";
    const made = make("button", { type: "button", class: "handle", "aria-expanded": "false", text: words });
    made.addEventListener("click", () => {
      const raised = this.element.classList.toggle("raised");
      made.setAttribute("aria-expanded", raised);
    });
    return made;
  }

  cautions() {
    const { result, reasons, blinded, state } = this.film;
    const parts = [];
    if (blinded) parts.push(make("p", { class: "caution", text: "Blinded reading: scores, maps and other readings appear after you commit your own. Both are kept." }));
    if (state !== "done") parts.push(make("p", { class: "caution", text: "This film waits for its result; it appears here by itself." }));
    for (const [code, sentence] of Object.entries(reasons || {})) {
      parts.push(make("p", { class: "caution" }, sentence, " ", make("code", { text: code })));
    }
    if (result?.message) parts.push(make("p", { class: "caution" }, make("bdi", { text: result.message })));
    if (result?.threshold_source === "hand") parts.push(make("p", { class: "caution", text: "Thresholds were given by hand and are measured on nothing." }));
    if (result && !result.findings) parts.push(make("p", { text: "This film was not scored. You can still say what you see." }));
    return parts;
  }

  groups() {
    if (!this.scores.some((one) => one.group)) return [make("h2", { text: "Findings" }), this.list(this.scores)];
    return GROUPS.flatMap(([group, words]) => {
      const own = this.scores.filter((one) => one.group === group);
      return own.length ? [make("h2", { class: group }, words, " ", make("small", { text: own.length })), this.list(own)] : [];
    });
  }

  list(scores) { return make("ul", { class: "scores" }, ...scores.map((one) => this.row(one))); }

  row(score) {
    const { name } = score;
    const choose = button("", () => this.does.choose(name), { class: "choose", "aria-pressed": "false" });
    choose.append(make("span", { class: "name", text: findingName(name) }), make("span", { class: "numbers" }, ...this.numbers(score)));
    const toggles = Object.entries(LETTERS).map(([judgment, letter]) => {
      const made = toggle(letter, () => this.does.judge(name, judgment), { class: judgment, title: `${JUDGMENTS[judgment]} (${letter})`, "aria-label": `${findingName(name)}: ${JUDGMENTS[judgment].toLowerCase()}`, disabled: !this.writable });
      made.judgment = judgment;
      return made;
    });
    const words = this.film.scores?.[name];
    const boxes = make("span", { class: "box-list" });
    const row = make("li", { class: `finding ${score.group || ""}`, dataset: { finding: name } },
      choose, make("span", { class: "judge", role: "group", "aria-label": `Your reading of ${findingName(name)}` }, ...toggles),
      score.margin === null ? null : marginBar(score.margin),
      words?.measured ? make("p", { class: "measured", text: words.measured }) : null,
      ...this.places(score), boxes);
    this.rows.set(name, { row, choose, toggles, boxes });
    return row;
  }

  numbers({ name, finding, margin: distance }) {
    if (!finding) return [];
    const words = this.film.scores?.[name];
    if (finding.threshold === null) return [make("b", { text: percent(finding.probability) }), make("small", { text: " no threshold" })];
    const [ours, theirs] = pair(finding.probability, finding.threshold);
    const title = words?.sentence || `${factor(distance)} odds of the threshold`;
    return [make("b", { text: ours, title }), make("small", { text: ` threshold ${theirs}` }),
      finding.abstention ? make("small", { text: ` not called: ${finding.abstention}` }) : null,
      finding.calibrated ? null : make("small", { text: " not calibrated" })];
  }

  places({ finding }) {
    if (!finding?.regions.length) return [];
    return [make("p", { class: "regions", text: `Score raised by: ${finding.regions.join(", ")}. Supporting evidence, not the location of disease.` })];
  }

  // What is said of the whole film.
  whole() {
    const field = (name, words, key) => {
      const made = toggle(words, () => this.does.flip(name), { title: `${words} (${key})`, disabled: !this.writable });
      made.field = name;
      return made;
    };
    this.toggles = [field("agree_with_rest", "Agree with the rest", "G"), field("unreadable", "Unreadable", "X"), field("second_look", "Second look", "S")];
    this.note = make("textarea", { id: "note", rows: 1, maxlength: 2000, placeholder: "Note (N)", "aria-label": "Note, at most 2,000 characters", readonly: !this.writable });
    this.note.addEventListener("input", () => this.does.note(this.note.value, false));
    this.note.addEventListener("change", () => this.does.note(this.note.value, true));
    this.left = make("small", { class: "left" });
    this.state = make("p", { class: "saved", role: "status" });
    this.undo = button("Undo", () => this.does.undo(), { title: "Undo (Z)", class: "undo" });
    this.commit = this.verdict.held ? button("Commit reading", () => this.does.commit(), { class: "main", title: "Commit reading (Ctrl+Enter)" }) : null;
    return make("div", { class: "whole", role: "group", "aria-label": "The whole film" }, make("div", { class: "film-toggles" }, ...this.toggles), this.note, this.left,
      make("div", { class: "save" }, this.commit, this.state, this.undo));
  }

  // Three large buttons for the finding that is chosen: the way to read on a phone.
  large() {
    this.big = Object.keys(LETTERS).map((judgment) => {
      const made = toggle(JUDGMENTS[judgment], () => this.does.judge(this.chosen, judgment), { class: judgment, disabled: !this.writable });
      made.judgment = judgment;
      return made;
    });
    this.subject = make("span", { class: "subject" });
    return make("div", { class: "large", role: "group", "aria-label": "Your reading of the chosen finding" }, this.subject,
      make("div", {}, ...this.big), make("small", { text: "Boxes need a larger screen." }));
  }

  choose(name, reveal = true) {
    this.chosen = name;
    for (const [finding, { row, choose }] of this.rows) {
      row.classList.toggle("chosen", finding === name);
      choose.setAttribute("aria-pressed", finding === name);
    }
    if (reveal) this.rows.get(name)?.row.scrollIntoView({ block: "nearest" });
    this.sync();
  }

  sync() {
    const { verdict } = this;
    for (const [name, { row, toggles, boxes }] of this.rows) {
      const judgment = verdict.judgment(name);
      for (const one of toggles) one.on = one.judgment === judgment;
      row.classList.toggle("judged", judgment !== "not_judged");
      const own = verdict.draft.boxes.map((box, at) => [box, at]).filter(([box]) => box.finding === name);
      boxes.replaceChildren(...own.map(([, at], number) => button(`Box ${number + 1} ✕`, () => this.does.unbox(at), { "aria-label": `Remove box ${number + 1} of ${findingName(name)}` })));
    }
    for (const one of this.toggles) one.on = verdict.draft[one.field];
    for (const one of this.big) one.on = this.chosen && one.judgment === verdict.judgment(this.chosen);
    this.subject.textContent = this.chosen ? findingName(this.chosen) : "";
    if (document.activeElement !== this.note) this.note.value = verdict.draft.note;
    const length = this.note.value.length;
    this.left.textContent = length > 1800 ? `${2000 - length} characters left` : "";
    this.undo.disabled = !verdict.past.length;
    if (this.commit) this.commit.hidden = !verdict.held;
    this.saved();
  }

  saved() {
    const { verdict } = this;
    const parts = [];
    if (!this.writable) parts.push("You may look; to read, ask for a token with the scope review.");
    else if (verdict.stale) parts.push("Not saved: another reading came between. ", button("Compare", () => this.does.compare()));
    else if (verdict.problem) parts.push(`Not saved: ${verdict.problem.message} `, button("Try again", () => this.does.retry()));
    else if (verdict.held) parts.push(verdict.dirty ? "Not committed yet." : "");
    else if (verdict.sending) parts.push("Saving");
    else if (verdict.newest) parts.push(`Saved ${clock(verdict.newest.time)}, version ${verdict.newest.version}`);
    const text = parts.map((part) => part.textContent ?? part).join("");
    if (this.said === text && this.state.childNodes.length) return;
    this.said = text;
    this.state.classList.toggle("trouble", Boolean(verdict.stale || verdict.problem));
    this.state.replaceChildren(...parts);
  }

  versions(history) {
    const list = this.past.querySelector(".list");
    if (!history.readings.length) list.replaceChildren(make("p", { text: "No reading yet." }));
    else list.replaceChildren(
      history.differ.length ? make("p", { class: "caution", text: `Readers differ on ${history.differ.map(findingName).join(", ")}.` }) : "",
      make("ol", {}, ...[...history.readings].reverse().map((one) => make("li", {},
        make("b", { text: `Version ${one.version}` }), " ", make("bdi", { text: one.reader_name || one.reader }), ` ${clock(one.time)}${one.blinded ? ", blinded" : ""}`,
        make("p", {}, ...this.summary(one))))));
  }

  summary(one) {
    const judged = Object.entries(one.findings).filter(([, judgment]) => judgment !== "not_judged")
      .map(([name, judgment]) => `${findingName(name)} ${judgment}`);
    const film = [one.agree_with_rest && "agrees with the rest", one.unreadable && "unreadable", one.second_look && "second look", one.boxes.length && `${one.boxes.length} boxes`];
    const words = [...judged, ...film.filter(Boolean)].join("; ");
    return [words || "nothing judged", one.note ? make("q", {}, make("bdi", { text: one.note })) : ""];
  }
}
