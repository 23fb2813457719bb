// Numbers and names as people read them.
const NEAR = Math.log(1.5);

// "Pleural_Thickening" is read as "Pleural thickening".
export function findingName(name) {
  const [first, ...rest] = name.split(/[_ ]/);
  const small = (word) => (word === word.toUpperCase() ? word : word.toLowerCase());
  return [first, ...rest.map(small)].join(" ");
}

const shown = (share, digits) => {
  const text = (100 * share).toFixed(digits);
  if (share > 0 && Number(text) === 0) return `<${(10 ** -digits).toFixed(digits)}%`;
  if (share < 1 && Number(text) === 100) return `>${(100 - 10 ** -digits).toFixed(digits)}%`;
  return `${text}%`;
};

// A probability and its threshold, with as many digits as show which is larger.
export function pair(probability, threshold) {
  for (let digits = 1; digits < 7; digits += 1) {
    const texts = [shown(probability, digits), shown(threshold, digits)];
    if (texts[0] !== texts[1] || probability === threshold) return texts;
  }
  return [shown(probability, 6), shown(threshold, 6)];
}

export const percent = (share) => shown(share, 1);

// What a class token decided of a finding's logit, as reports write it.
export const tokenWords = (share) => `The class token decided ${Math.round(100 * share)} % of the logit, which no map shows.`;

function logit(share) {
  const kept = Math.min(Math.max(share, 1e-9), 1 - 1e-9);
  return Math.log(kept / (1 - kept));
}

export const margin = ({ probability, threshold }) =>
  (threshold === null ? null : logit(probability) - logit(threshold));

// The group of a finding: "above", "near", "below" or "uncalled".
export function groupOf(finding) {
  if (finding.decision === "positive") return "above";
  if (finding.decision !== "negative" || finding.threshold === null) return "uncalled";
  return margin(finding) >= -NEAR ? "near" : "below";
}

export const GROUPS = [
  ["above", "At or above threshold"],
  ["near", "Near threshold"],
  ["below", "Below threshold"],
  ["uncalled", "Not called"],
];

// A margin as a factor of odds: "×1.8" above a threshold, "÷2.5" below it.
export function factor(value) {
  const odds = Math.exp(Math.abs(value));
  const text = odds >= 100 ? ">100" : odds.toFixed(odds < 10 ? 1 : 0);
  return `${value < 0 ? "÷" : "×"}${text}`;
}

export const JUDGMENTS = { present: "Present", absent: "Absent", uncertain: "Uncertain", not_judged: "Not judged" };

// Statuses of films with scores; `scored` stands for them while a reader is blinded.
export const SCORED = new Set(["ok", "warn", "scored"]);

export const STATUSES = {
  ok: "Scored", warn: "Scored, with a warning", scored: "Scored", reject: "Refused", skip: "Skipped",
  error: "Not readable", queued: "Waiting", reading: "Being read",
};

export function clock(utc) {
  const time = new Date(utc);
  const day = time.toDateString() === new Date().toDateString() ? "" : `${time.toLocaleDateString("sv")} `;
  return day + time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}
