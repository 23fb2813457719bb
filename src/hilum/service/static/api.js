// Requests to the service. A refusal becomes a Problem whose message is one sentence for people.
export class Problem extends Error {
  constructor(status, document, retryAfter = 0) {
    super(document.detail || document.title || `The service answered ${status}.`);
    this.status = status;
    this.code = document.code || "";
    this.document = document;
    this.retryAfter = retryAfter;
  }
}

async function problem(answer) {
  const document = await answer.json().catch(() => ({}));
  return new Problem(answer.status, document, Number(answer.headers.get("Retry-After")) || 0);
}

async function send(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { "X-Hilum": "1", ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "NO_ANSWER", detail: "The service does not answer; is it still running?" });
  }
  if (!answer.ok) throw await problem(answer);
  return answer;
}

const json = async (path, options) => (await send(path, options)).json();
const body = (document) => ({
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(document),
});

export const session = () => json("/v1/session");
export const begin = (token) => json("/v1/session", { method: "POST", ...body({ token }) });
export const end = () => send("/v1/session", { method: "DELETE" });
export const bundle = () => json("/v1/bundle");
export const summary = () => json("/v1/summary");
export const agreement = (blinded) => json(`/v1/agreement?blinded=${blinded}`);
export const film = (id) => json(`/v1/films/${encodeURIComponent(id)}`);
export const history = (id) => json(`/v1/films/${encodeURIComponent(id)}/history`);
export const bytes = async (path, signal) => (await send(path, { signal })).arrayBuffer();

export function films(query, cursor, limit, signal) {
  const kept = Object.entries({ ...query, cursor, limit }).filter(([, value]) => value);
  return json(`/v1/films?${new URLSearchParams(kept)}`, { signal });
}

export function verdict(id, reading, version) {
  const { headers, body: text } = body(reading);
  return json(`/v1/films/${encodeURIComponent(id)}/verdict`, {
    method: "PUT",
    headers: { ...headers, "If-Match": `"${version}"` },
    body: text,
  });
}

// The bytes of one film; the answer is a film with its result, or one that waits for it.
export async function submit(file, name) {
  const answer = await send("/v1/films", {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream", "X-Hilum-Name": encodeURIComponent(name), Prefer: "wait=20" },
    body: file,
  });
  return { known: answer.status === 200, film: await answer.json() };
}
