"use strict";
// Moves the operating-point explorers. Without this script each shows one threshold, and the table
// below it the others.
const explorers = JSON.parse(document.getElementById("stops").textContent);
const NONE = "–";

// Whole numbers in the proportion of the counts that add up to a total (largest remainder).
function apportion(counts, total) {
  const n = counts.reduce((sum, count) => sum + count, 0);
  const rest = counts.map((count) => (count * total) % n);
  const parts = counts.map((count, k) => (count * total - rest[k]) / n);
  const short = total - parts.reduce((sum, part) => sum + part, 0);
  const order = counts.map((_, k) => k).sort((j, k) => rest[k] - rest[j] || j - k);
  for (const k of order.slice(0, short)) parts[k] += 1;
  return parts;
}

// Films of 1,000 in each place of the table; of a rare finding to a tenth of a film.
function frequencies(cells, rare) {
  const tenths = rare ? 10 : 1;
  const [hits, misses, alarms, spared] = apportion(cells, 1000 * tenths);
  const counts = {
    hits, misses, found: hits + misses, alarms, spared, free: alarms + spared,
    called: hits + alarms, uncalled: misses + spared,
  };
  const words = (count) => (count / tenths).toFixed(rare ? 1 : 0);
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, words(count)]));
}

function share(part, whole) {
  return whole > 0 ? part / whole : null;
}

function numbers({ n, found, rare }, [threshold, called, hits]) {
  const alarms = called - hits;
  const spared = n - found - alarms;
  return {
    threshold,
    counts: frequencies([hits, found - hits, alarms, spared], rare),
    measures: {
      sensitivity: share(hits, found),
      specificity: share(spared, n - found),
      ppv: share(hits, called),
      npv: share(spared, n - called),
    },
  };
}

// A mark on a chart: the axes stand in the attributes of the svg around it.
function place(mark, x, y) {
  const { dataset } = mark.ownerSVGElement;
  const [left, right] = dataset.x.split(" ").map(Number);
  const [low, high] = dataset.y.split(" ").map(Number);
  const [width, height] = dataset.size.split(" ").map(Number);
  const across = (width * (x - left)) / (right - left);
  if (mark.dataset.now === "threshold") {
    mark.setAttribute("d", x <= right ? `M${across} 0V${height}` : "");
    return;
  }
  mark.setAttribute("cx", across);
  mark.setAttribute("cy", height * (1 - (y - low) / (high - low)));
}

function mark(chart, now) {
  const { sensitivity, specificity, ppv } = now.measures;
  const [x, y] = {
    roc: [specificity === null ? null : 1 - specificity, sensitivity],
    pr: [sensitivity, ppv],
    threshold: [now.threshold, 0],
  }[chart.dataset.now];
  const missing = x === null || y === null;
  chart.toggleAttribute("hidden", missing);
  if (!missing) place(chart, x, y);
}

function show(article, finding, index) {
  const now = numbers(finding, finding.stops[index]);
  const texts = { threshold: String(Number(now.threshold.toPrecision(4))), ...now.counts };
  for (const [name, value] of Object.entries(now.measures)) {
    texts[name] = value === null ? NONE : value.toFixed(3);
  }
  for (const place of article.querySelectorAll("[data-says]")) {
    place.textContent = texts[place.dataset.says];
  }
  for (const chart of article.querySelectorAll("[data-now]")) mark(chart, now);
  const slider = article.querySelector("input[type=range]");
  slider.value = index;
  slider.setAttribute(
    "aria-valuetext",
    `${texts.threshold}: sensitivity ${texts.sensitivity}, specificity ${texts.specificity}, ` +
      `${texts.called} of 1,000 called`,
  );
  for (const button of article.querySelectorAll("button[data-stop]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.stop) === index));
  }
}

for (const article of document.querySelectorAll("article[data-finding]")) {
  const finding = explorers[Number(article.dataset.finding)];
  const dial = article.querySelector(".dial");
  if (!finding || !dial) continue;
  const slider = dial.querySelector("input");
  slider.addEventListener("input", () => show(article, finding, Number(slider.value)));
  dial.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-stop]");
    if (button) show(article, finding, Number(button.dataset.stop));
  });
  dial.hidden = false;
  // a reloaded page keeps the slider where it was; start where the table says
  show(article, finding, Number(slider.dataset.start));
}
