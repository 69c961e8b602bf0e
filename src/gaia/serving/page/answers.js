// Answers: what, how sure, by which version; and for a photo what the model looked at.

import { ask, path } from "./api.js";
import { announce, badge, make, quoted, say, words } from "./dom.js";
import { heat } from "./heat.js";

const AT_ONCE = 2; // photos that are on their way at the same time
const SHOWN = 8; // classes
const REASONS = [ // as gaia/runtime/doubt.py says them, and what the page calls them
  [/^unlike anything this version was trained on$/, "strange"],
  [/^(.+) is (.+); training saw (.+) to (.+)$/, "outside"],
  [/^(.+) is empty; in training it never was$/, "gap"],
  [/^(.+) ([\d.]+) is within ([\d.]+) of the threshold ([\d.]+)$/, "close"],
  [/^(.+) ([\d.]+) and (.+) ([\d.]+) are within ([\d.]+) of each other$/, "tied"],
];

/** A list of answers, the newest first. */
export function results() {
  const list = make("ul", { class: "answers", role: "list" });
  const clear = say(make("button", { type: "button", class: "plain", onclick: () => { list.replaceChildren(); show(); } }), "clear");
  const head = make("div", { class: "row" }, words("h3", "answers"), clear);
  const element = make("div", { hidden: true }, head, list);
  const show = () => { element.hidden = !list.children.length; };
  let rows = 0;
  let waiting = Promise.resolve();

  function open(...title) {
    const item = make("li", { class: "answer", "aria-busy": "true" }, make("div", { class: "head" }, title), words("p", "asking"));
    list.prepend(item);
    show();
    return item;
  }

  async function askPhotos(files, to) {
    const left = [...files].reverse().map((file) => [file, open(thumbnail(file), make("h4", {}, file.name))]);
    const work = async () => {
      while (left.length) {
        const [file, item] = left.pop();
        const body = new FormData();
        body.append("files", file, file.name);
        await answer(item, file.name, to, body, file);
      }
    };
    waiting = waiting.then(() => Promise.all(Array.from({ length: AT_ONCE }, work)));
    await waiting;
  }

  const askRow = (row, to) => {
    rows += 1;
    const facts = Object.entries(row).map(([key, value]) => `${key} ${value ?? "–"}`).join(" · ");
    return answer(open(words("h4", "row", rows), make("p", { class: "quiet" }, facts)), facts, to, { rows: [row] });
  };

  /** Say of each answer whether the version that gave it is still live. */
  function mark(stages) {
    const live = new Set(Object.values(stages).map((each) => each.sha256));
    for (const each of list.children) {
      each.querySelector(".old")?.remove();
      if (each.dataset.sha && !live.has(each.dataset.sha)) each.querySelector(".by").append(make("span", { class: "old" }, " ", badge("workspace", "notLive")));
    }
  }

  return { element, askPhotos, askRow, mark };
}

/** Ask, and fill the item with what came of it. */
async function answer(item, name, to, body, file = null) {
  try {
    const said = await ask(`${path("lines", to.line, "predict")}?stage=${encodeURIComponent(to.stage)}`, body);
    const [found] = said.answers;
    item.dataset.sha = said.sha256;
    item.lastChild.replaceWith(...verdict(found, to.served?.contract), by(said));
    if (file) item.append(...looked(file, found, said, to));
    announce("said", name, found.uncertain.length ? spoken(found) : `${found.answer}`);
  } catch (error) {
    item.lastChild.replaceWith(failed(error));
    announce("said", name, error.message);
  }
  item.removeAttribute("aria-busy");
}

const spoken = (found) => `${found.uncertain.join("; ")} (${found.answer})`;

/** Why there is no answer, in a sentence. */
export function failed(error) {
  const said = error.theirs ? quoted("span", error.message) : words("span", error.status === 0 ? "goneLong" : error.message);
  return make("p", { class: "problem" }, badge("problem", "problem"), " ", said);
}

/** The answer and its probabilities; what is uncertain doesn't look like an answer. */
export function verdict(found, contract) {
  const share = found.probabilities[found.answer];
  const doubted = found.uncertain.length > 0;
  const head = doubted
    ? make("div", { class: "verdict", "data-state": "uncertain" }, badge("uncertain", "uncertain"), " ", words("span", "leaning", found.answer, share), reasons(found.uncertain))
    : make("p", { class: "verdict", "data-state": "sure" }, make("strong", {}, found.answer), " ", say(make("span", { class: "quiet" }), "percent", share));
  return [head, bars(found.probabilities, found.answer, contract)];
}

/** Why an answer is doubted, in the reader's language; as the server says it where that is a reason unknown here. */
export const reasons = (why) => make("ul", { class: "reasons" }, why.map(reason));

function reason(said) {
  const [shape, name] = REASONS.find(([shape]) => shape.test(said)) ?? [];
  return shape ? words("li", name, ...shape.exec(said).slice(1)) : quoted("li", said);
}

/** A bar for each class, the likeliest first; and from where on the positive one is said, if that isn't the half. */
export function bars(probabilities, answered, contract) {
  const sorted = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  const items = sorted.slice(0, SHOWN).map(([name, value]) => {
    const fill = make("span", {});
    fill.style.width = `${value * 100}%`;
    return make("li", name === answered ? { class: "chosen" } : {}, make("span", {}, name), make("span", { class: "bar", "aria-hidden": "true" }, fill), say(make("span", { class: "value" }), "percent", value));
  });
  const rest = sorted.length > SHOWN ? words("li", "more", sorted.length - SHOWN) : null;
  const binary = contract && contract.labels.length === 2 && contract.threshold !== 0.5;
  return make("div", {}, make("ul", { class: "bars", role: "list" }, items, rest), binary ? words("p", "positiveFrom", contract.positive, contract.threshold) : null);
}

/** Who gave the answer. */
export function by(said) {
  return make("p", { class: "by quiet" }, words("span", "givenBy", said.version, said.stage, said.sha256.slice(0, 8), said.milliseconds ?? null));
}

export function thumbnail(file) {
  const address = URL.createObjectURL(file);
  const image = make("img", { class: "thumbnail", src: address, alt: "", width: 56, height: 56 });
  image.onload = () => URL.revokeObjectURL(address);
  image.onerror = () => image.replaceWith(say(make("span", { class: "thumbnail" }), "noPreview"));
  return image;
}

/** The button that shows what the model looked at, and the place where. */
function looked(file, found, said, to) {
  const place = make("div", {});
  const button = say(make("button", { type: "button", "aria-expanded": "false", onclick: toggle }), "heat");
  const expanded = () => button.getAttribute("aria-expanded") === "true";

  async function look() {
    const body = new FormData();
    body.append("files", file, file.name);
    const seen = await ask(`${path("lines", to.line, "explain")}?stage=${encodeURIComponent(to.stage)}`, body);
    return seen.sha256 === said.sha256 ? heat(file, seen.heat, found.answer, to.served.contract) : words("p", "heatSwapped");
  }

  async function toggle() {
    button.setAttribute("aria-expanded", String(!expanded()));
    say(button, expanded() ? "heatHide" : "heat");
    place.replaceChildren(...(expanded() ? [words("p", "asking")] : []));
    if (!expanded()) return;
    const shown = await look().catch(failed);
    if (expanded()) place.replaceChildren(shown);
  }

  return [button, place];
}
