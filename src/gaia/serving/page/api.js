// Asking the server: the answer, or an error whose message is its sentence.

import { text } from "./texts.js";

const KEPT = "gaia-key";

/** What went wrong, as a sentence; `status` 0: the server is gone. `theirs`: the sentence is the server's. */
export class Sentence extends Error {
  constructor(sentence, status = 0, theirs = false) {
    super(sentence);
    this.status = status;
    this.theirs = theirs;
  }
}

export const hasKey = () => Boolean(sessionStorage.getItem(KEPT));
export const keep = (key) => sessionStorage.setItem(KEPT, key);

const shown = () => (hasKey() ? { Authorization: `Bearer ${sessionStorage.getItem(KEPT)}` } : {});

/** The JSON at a path, relative to the page. With `body` (a form, or what becomes JSON) it is sent. */
export async function ask(path, body = null, seconds = 60) {
  const headers = shown();
  const json = body !== null && !(body instanceof FormData);
  if (json) headers["Content-Type"] = "application/json";
  const sent = { method: body === null ? "GET" : "POST", headers, cache: "no-store", signal: AbortSignal.timeout(seconds * 1000) };
  let answer, said;
  try {
    answer = await fetch(path, { ...sent, body: json ? JSON.stringify(body) : body });
    said = await answer.json();
  } catch {
    throw new Sentence(text("goneLong"));
  }
  if (answer.ok) return said;
  if (answer.status === 401) document.dispatchEvent(new Event("locked"));
  const sentences = said.problems?.length ? said.problems.map(sentence).join(" ") : said.detail;
  throw new Sentence(sentences ?? `${answer.status} ${answer.statusText}`, answer.status, true);
}

/** The address, in this page, of a picture at a path; none if it can't be had. */
export async function picture(path) {
  const answer = await fetch(path, { headers: shown() }).catch(() => null);
  return answer?.ok ? URL.createObjectURL(await answer.blob()) : null;
}

/** A problem's halves, as the server joins them. */
export const sentence = ({ found, mend }) => (mend ? `${found}; ${mend}.` : found);

/** A path of names, whatever is in them. */
export const path = (...names) => names.map(encodeURIComponent).join("/");
