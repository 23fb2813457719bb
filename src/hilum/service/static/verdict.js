// A reader's reading of one film: changed at once, saved at once, undone, and never lost.
import * as api from "./api.js";

const BLANK = { findings: {}, agree_with_rest: false, unreadable: false, second_look: false, note: "", boxes: [] };
const FIELDS = Object.keys(BLANK);

export const readingOf = (document) =>
  structuredClone(Object.fromEntries(FIELDS.map((field) => [field, (document || BLANK)[field] ?? BLANK[field]])));

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Verdict {
  // held: while blinded, nothing is sent before commit(). changed(): something is to be shown anew.
  constructor(film, held, changed) {
    Object.assign(this, { id: film.id, held, changed, version: film.reading.version, problem: null, stale: null, sending: null });
    this.saved = readingOf(film.mine);
    this.draft = structuredClone(this.saved);
    this.newest = film.mine;
    this.past = [];
  }

  get dirty() { return !same(this.draft, this.saved); }
  judgment(finding) { return this.draft.findings[finding] || "not_judged"; }

  change(make, { step = true } = {}) {
    const before = structuredClone(this.draft);
    make(this.draft);
    if (same(before, this.draft)) return;
    if (step) this.past.push(before);
    this.changed();
    if (!this.held) this.save();
  }

  judge(finding, judgment) {
    this.change((draft) => {
      if (this.judgment(finding) === judgment || judgment === "not_judged") delete draft.findings[finding];
      else draft.findings[finding] = judgment;
    });
  }

  flip(field) { this.change((draft) => { draft[field] = !draft[field]; }); }

  undo() {
    if (!this.past.length) return false;
    const before = this.past.pop();
    this.change((draft) => Object.assign(draft, before), { step: false });
    return true;
  }

  commit() {
    this.held = false;
    return this.save(true);
  }

  // One request at a time; what changes meanwhile goes with the next.
  save(even = false) {
    if (this.sending || this.stale || !(even || this.dirty)) return this.sending;
    this.sending = this.send().finally(() => {
      this.sending = null;
      this.changed();
      if (this.dirty && !this.problem && !this.stale) this.save();
    });
    this.changed();
    return this.sending;
  }

  async send() {
    const reading = structuredClone(this.draft);
    this.problem = null;
    try {
      this.newest = await api.verdict(this.id, reading, this.version);
      this.version = this.newest.version;
      this.saved = reading;
    } catch (error) {
      if (error.status === 409 && error.document.version !== undefined) this.stale = error.document;
      else this.problem = error;
    }
  }

  // After a conflict: "mine" is saved on top of the other version, "theirs" becomes the draft too.
  settle(choice) {
    const { stale } = this;
    this.stale = null;
    this.version = stale.version;
    if (choice === "theirs") {
      this.past.push(structuredClone(this.draft));
      this.draft = readingOf(stale.current);
    }
    return this.save(true);
  }
}
