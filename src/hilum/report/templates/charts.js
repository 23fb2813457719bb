"use strict";
// Saves charts as SVG, names the cells of wide tables for narrow pages, and marks in the contents
// bar what is read. Every page reads the same without it.
{
  const KEPT = [
    "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin",
    "font-family", "font-size", "font-weight", "text-anchor",
  ];
  const SVG = "http://www.w3.org/2000/svg";

  // The colors of the light page, which paper wants, whatever the screen shows.
  function lightColors() {
    const colors = {};
    for (const rule of document.styleSheets[0].cssRules) {
      if (rule.selectorText !== ":root") continue;
      for (const name of rule.style) {
        if (name.startsWith("--")) colors[name] = rule.style.getPropertyValue(name);
      }
    }
    return colors;
  }

  function styled(drawn) {
    const copy = drawn.cloneNode(true);
    const [theirs, ours] = [drawn, copy].map((one) => [one, ...one.querySelectorAll("*")]);
    theirs.forEach((one, k) => {
      const style = getComputedStyle(one);
      for (const name of KEPT) ours[k].setAttribute(name, style.getPropertyValue(name));
    });
    for (const mark of copy.querySelectorAll("[hidden], .now")) mark.remove();
    return copy;
  }

  function line(text, x, y, size) {
    const made = document.createElementNS(SVG, "text");
    const style = { x, y, "font-size": size, "font-family": "sans-serif", fill: "#15191e" };
    for (const [name, value] of Object.entries(style)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }

  // A long sentence in lines of so many letters, as SVG does not break lines.
  function broken(text, letters) {
    const lines = [""];
    for (const word of text.split(/\s+/)) {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length >= letters) lines.push(word);
      else lines[lines.length - 1] = last ? `${last} ${word}` : word;
    }
    return lines;
  }

  function file(figure) {
    const drawn = figure.querySelector("svg.plot");
    const colors = lightColors();
    for (const [name, value] of Object.entries(colors)) figure.style.setProperty(name, value);
    const copy = styled(drawn);
    for (const name of Object.keys(colors)) figure.style.removeProperty(name);
    const [, , width, height] = drawn.getAttribute("viewBox").split(" ").map(Number);
    const heading = figure.closest("article")?.querySelector("h2")?.textContent ?? "";
    const title = figure.querySelector("figcaption strong").textContent;
    const page = document.querySelector("h1").textContent.replace(/\s+/g, " ").trim();
    const keys = [...(figure.closest("article")?.querySelectorAll(".models li") ?? [])];
    const above = [[heading, title].filter(Boolean).join(": "), page, figure.dataset.note ?? ""];
    const top = 12 + 12 * above.filter(Boolean).length + 13 * keys.length;
    const notice = broken(document.querySelector(".notice").textContent, 70);
    const frame = document.createElementNS(SVG, "svg");
    const tall = top + height + 6 + 9 * notice.length;
    frame.setAttribute("xmlns", SVG);
    frame.setAttribute("viewBox", `0 0 ${width} ${tall}`);
    frame.setAttribute("width", 2 * width);
    frame.setAttribute("height", 2 * tall);
    const paper = document.createElementNS(SVG, "rect");
    for (const [name, value] of [["width", "100%"], ["height", "100%"], ["fill", "#ffffff"]]) {
      paper.setAttribute(name, value);
    }
    frame.append(paper, ...above.filter(Boolean).map((text, k) => line(text, 6, 13 + 12 * k, k ? 8 : 11)));
    keys.forEach((key, k) => {
      const y = 6 + 12 * above.filter(Boolean).length + 13 * (k + 1);
      const stroke = key.querySelector("path").getAttribute("class");
      const curve = copy.querySelector(`path.${stroke}`)?.cloneNode() ?? null;
      if (curve) curve.setAttribute("d", `M6 ${y - 3}H32`);
      frame.append(...(curve ? [curve] : []), line(key.textContent.trim(), 38, y, 8));
    });
    copy.setAttribute("y", top);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    frame.append(copy, ...notice.map((text, k) => line(text, 6, top + height + 6 + 9 * k, 7)));
    return new XMLSerializer().serializeToString(frame);
  }

  function name(figure) {
    const words = [
      document.querySelector("h1").textContent,
      figure.closest("article")?.querySelector("h2")?.textContent ?? "",
      figure.querySelector("figcaption strong").textContent,
    ];
    const plain = words.join(" ").toLowerCase().replace(/[^a-z0-9]+/g, "-");
    return `${plain.replace(/^-+|-+$/g, "").slice(0, 100)}.svg`;
  }

  for (const figure of document.querySelectorAll(".charts figure")) {
    if (!figure.querySelector("svg.plot")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "SVG";
    const title = figure.querySelector("figcaption strong").textContent;
    button.setAttribute("aria-label", `SVG: save the chart ${title}`);
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([file(figure)], { type: "image/svg+xml" }));
      link.download = name(figure);
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
    figure.querySelector("figcaption").append(button);
  }

  const ROLES = { THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };

  function label(table) {
    const heads = [...table.querySelectorAll("thead tr > *")].map((head) => {
      const plain = head.cloneNode(true);
      for (const small of plain.querySelectorAll("small")) small.remove();
      return plain.textContent.trim();
    });
    table.setAttribute("role", "table");
    for (const part of table.querySelectorAll("thead, tbody, tr, td, th")) {
      const inHead = part.closest("thead") !== null;
      part.setAttribute("role", ROLES[part.tagName] ?? (inHead ? "columnheader" : "rowheader"));
    }
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.children].forEach((cell, k) => {
        if (cell.tagName === "TD") cell.dataset.head = heads[k] ?? "";
      });
    }
    table.classList.add("labeled");
  }

  for (const table of document.querySelectorAll(".scroll > table.numbers:not(.forest-table)")) {
    label(table);
  }

  const bar = document.querySelector(".contents");
  if (bar) {
    const menu = bar.querySelector("details");
    if (menu) {
      menu.addEventListener("click", (event) => {
        if (event.target.closest("a")) menu.open = false;
      });
      document.addEventListener("click", (event) => {
        if (!menu.contains(event.target)) menu.open = false;
      });
      document.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
    const links = [...bar.querySelectorAll("a")];
    const parts = links.map((link) => document.querySelector(link.getAttribute("href")));
    const mark = () => {
      const edge = bar.getBoundingClientRect().bottom + 120;
      const tops = parts.map((part) => part.getBoundingClientRect().top);
      const passed = tops.filter((top) => top <= edge);
      const now = passed.length ? tops.indexOf(Math.max(...passed)) : -1;
      links.forEach((link, k) => {
        if (k === now) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      });
    };
    document.addEventListener("scroll", mark, { passive: true });
    mark();
  }
}
