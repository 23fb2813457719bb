// Two versions of a reading beside each other. Both are kept, whichever is chosen.
import { button, make, popup } from "./element.js";
import { JUDGMENTS, clock, findingName } from "./words.js";

const yes = (value) => (value ? "Yes" : "No");

function lines(reading, findings) {
  const judged = findings.map((name) => [findingName(name), JUDGMENTS[reading.findings[name] || "not_judged"]]);
  return [...judged, ["Agree with the rest", yes(reading.agree_with_rest)], ["Unreadable", yes(reading.unreadable)],
    ["Second look", yes(reading.second_look)], ["Boxes", String(reading.boxes.length)], ["Note", reading.note || "–"]];
}

export function conflict(verdict, known) {
  const { current, version } = verdict.stale;
  const theirs = current || { findings: {}, boxes: [], note: "", reader_name: "", time: null };
  const mine = verdict.draft;
  const findings = known.filter((name) => name in theirs.findings || name in mine.findings);
  const [left, right] = [lines(theirs, findings), lines(mine, findings)];
  const who = current ? `${theirs.reader_name || theirs.reader}, ${clock(theirs.time)}, version ${version}` : "No version";
  const rows = left.map(([label, text], at) => make("tr", { class: text === right[at][1] ? null : "differs" },
    make("th", { scope: "row", text: label }), make("td", {}, make("bdi", { text })), make("td", {}, make("bdi", { text: right[at][1] }))));
  const choose = (choice) => () => {
    dialog.close();
    verdict.settle(choice);
  };
  const dialog = popup("Another reading came between", "conflict",
    make("p", { text: "Nothing is lost: readings are versions, and both stay in the history of the film. Which one is your newest reading?" }),
    make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Both readings" },
      make("table", {}, make("thead", {}, make("tr", {}, make("td", {}), make("th", { scope: "col" }, make("bdi", { text: who })), make("th", { scope: "col", text: "Yours, not saved yet" }))),
        make("tbody", {}, ...rows))),
    make("footer", {}, button("Save mine on top", choose("mine"), { class: "main" }), button("Take over theirs as mine", choose("theirs")), button("Decide later", () => dialog.close())));
  return dialog;
}
