// A bar on a log-odds axis with the threshold in the middle, as the report draws it: odds of ten
// times the threshold's reach the end.
import { draw } from "./element.js";

const HALF = Math.log(10);
const NEAR = 50 - (50 * Math.log(1.5)) / HALF;

export function marginBar(margin) {
  const end = 50 + 50 * Math.min(Math.max(margin / HALF, -1), 1);
  const beyond = margin > HALF ? "M97 1L100 5L97 9" : margin < -HALF ? "M3 1L0 5L3 9" : null;
  return draw("svg", { class: `bar${margin >= 0 ? " marked" : ""}`, viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    draw("rect", { class: "track", y: 2, width: 100, height: 6 }),
    draw("rect", { class: "near", x: NEAR, y: 2, width: 50 - NEAR, height: 6 }),
    draw("rect", { class: "fill", x: Math.min(end, 50), y: 2, width: Math.abs(end - 50), height: 6 }),
    beyond ? draw("path", { class: "beyond", d: beyond }) : null,
    draw("path", { class: "tick", d: "M50 0V10" }));
}
