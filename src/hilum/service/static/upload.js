// Films that are dropped or picked: a line each, three at a time, with the result or the reason.
import * as api from "./api.js";
import { button, make } from "./element.js";
import { address } from "./route.js";
import { STATUSES, findingName } from "./words.js";

const AT_A_TIME = 3;
const AGAIN_MS = 1000;
const PATIENCE = 600;

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// The files of what was dropped, folders opened.
async function filesOf(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) found.push(await new Promise((done, failed) => entry.file(done, failed)));
    else {
      const reader = entry.createReader();
      for (;;) {
        const some = await new Promise((done, failed) => reader.readEntries(done, failed));
        if (!some.length) break;
        for (const one of some) await walk(one);
      }
    }
  };
  for (const entry of entries) await walk(entry).catch(() => {});
  return found;
}

export class Upload {
  // added(film): a film has come into the list.
  constructor(element, added) {
    Object.assign(this, { element, added, waiting: [], busy: 0, done: 0, all: 0 });
    this.lines = make("ol", { tabindex: 0, "aria-label": "Films that were added" });
    this.summary = make("p", { role: "status" });
    element.append(make("header", {}, make("h2", { text: "Added films" }), this.summary, button("Close", () => { element.hidden = true; })), this.lines);
    this.picker = make("input", { type: "file", multiple: true, hidden: true });
    this.folder = make("input", { type: "file", webkitdirectory: true, hidden: true });
    for (const input of [this.picker, this.folder]) {
      input.addEventListener("change", () => {
        this.take([...input.files]);
        input.value = "";
      });
      element.append(input);
    }
    this.listen();
  }

  listen() {
    let depth = 0;
    const over = (by) => {
      depth = Math.max(0, depth + by);
      document.body.classList.toggle("dropping", depth > 0);
    };
    window.addEventListener("dragenter", () => over(1));
    window.addEventListener("dragleave", () => over(-1));
    window.addEventListener("dragover", (event) => event.preventDefault());
    window.addEventListener("drop", async (event) => {
      event.preventDefault();
      over(-depth);
      this.take(await filesOf(event.dataTransfer.items));
    });
  }

  take(files) {
    if (!files.length) return;
    this.element.hidden = false;
    for (const file of files) {
      const state = make("span", { class: "state", text: "Waiting" });
      const bar = make("progress", { max: 3, value: 0, "aria-label": `Progress of ${file.name}` });
      const line = make("li", {}, make("span", { class: "name" }, make("bdi", { text: file.name })), bar, state);
      this.lines.append(line);
      this.waiting.push({ file, line, state, bar });
    }
    this.all += files.length;
    this.tell();
    while (this.busy < AT_A_TIME && this.waiting.length) this.work();
  }

  tell() { this.summary.textContent = `${this.done} of ${this.all} done`; }

  async work() {
    this.busy += 1;
    while (this.waiting.length) {
      const job = this.waiting.shift();
      try {
        await this.one(job);
      } catch (error) {
        job.line.classList.add("refused");
        job.state.textContent = error.message;
      }
      job.bar.remove();
      this.done += 1;
      this.tell();
    }
    this.busy -= 1;
  }

  async one({ file, line, state, bar }) {
    const step = (value, text) => {
      bar.value = value;
      state.textContent = text;
    };
    let sent = null;
    while (!sent) {
      step(1, "Sending");
      try {
        sent = await api.submit(file, file.name);
      } catch (error) {
        if (![429, 503].includes(error.status)) throw error;
        step(0, "Waiting: the service has no room just now");
        await pause(1000 * Math.max(1, error.retryAfter));
      }
    }
    step(2, "Being scored");
    let { film } = sent;
    for (let tries = 0; film.state !== "done" && tries < PATIENCE; tries += 1) {
      await pause(AGAIN_MS);
      film = await api.film(film.id);
    }
    line.classList.add(film.result?.findings ? "scored" : film.blinded ? "scored" : "refused");
    const link = make("a", { href: address({}, film.id), text: "Open" });
    state.replaceChildren(...this.result(film, sent.known), " ", link);
    this.added(film);
  }

  result(film, known) {
    const again = known ? "Here already. " : "";
    if (film.blinded) return [`${again}Scored`];
    const { result } = film;
    if (!result) return [`${again}No result yet`];
    if (!result.findings) return [again + (STATUSES[result.status] || result.status), ": ", make("bdi", { text: result.message }), " ", make("code", { text: result.codes.join(", ") })];
    const above = Object.entries(result.findings).filter(([, one]) => one.positive).map(([name]) => findingName(name));
    return [above.length ? `${again}At or above threshold: ${above.join(", ")}` : `${again}No finding at or above its threshold`];
  }
}
