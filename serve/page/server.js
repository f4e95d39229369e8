// Answers from the server that sent the page.
import { smaller } from "./picture.js";

const TRIES = 5;

export const server = {
  async model() {
    return (await reply(await fetch("v1/model"))).json();
  },

  // blob -> { class, spoken, scores, loss, threshold, sure, label, sound }
  async ask(blob, about, signal) {
    const speaks = about.speaks ? "audio=wav&label=true" : "";
    let sent = blob.size > about.max_bytes ? await smaller(blob) : blob;
    let response = await post(sent, speaks, signal);
    if ((response.status === 413 || response.status === 415) && sent === blob) {
      // A format that this browser reads and the server does not, or an image too large for the server.
      sent = await smaller(blob).catch(() => null);
      if (sent) response = await post(sent, speaks, signal);
    }
    const answer = await (await reply(response)).json();
    return { ...answer, sound: answer.audio ? sound(answer.audio) : null };
  },
};

async function post(blob, query, signal) {
  for (let turn = 1; ; turn++) {
    const response = await fetch(`v1/classify?${query}`, {
      method: "POST", body: blob, headers: { "Content-Type": "application/octet-stream" }, signal,
    });
    if (response.status !== 503 || turn === TRIES) return response;
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
  }
}

async function reply(response) {
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail || `the server answered ${response.status}`);
}

function sound({ type, base64 }) {
  return new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], { type });
}
