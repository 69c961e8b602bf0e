// What can be looked up about a line: its history, two versions side by side, and where the shadow disagrees.

import { ask, path, picture } from "./api.js";
import { announce, badge, make, quoted, say, table, words } from "./dom.js";
import { bars, failed } from "./answers.js";

const SHOWN = 100; // rows of a table
const PHOTO = /\.(jpe?g|jpe|jfif|mpo|png|webp|gif|bmp|tiff?)$/i;

const STATES = { deploy: "live", rollback: "back", undeploy: "workspace" };

/** The three; `refresh()`: what is live has changed, `poll()`: two seconds went by. */
export function panels(line) {
  const all = [
    panel("history", async () => history(await ask(path("lines", line, "history")))),
    panel("compare", async () => compare(line, await ask(path("lines", line, "versions")))),
    panel("shadow", async () => shadow(await ask(path("lines", line, "shadow")))),
  ];
  const element = make("div", { class: "panels" }, all.map((each) => each.element));
  return { element, refresh: () => all.forEach((each) => each.load()), poll: () => all[2].load() };
}

/** A part that is asked for when it is opened. It is shown anew only if what was found is something else. */
function panel(name, find) {
  const place = make("div", { class: "found" });
  const element = make("details", {}, make("summary", {}, words("h3", name)), place);
  let before = "";
  async function load() {
    if (!element.open) return;
    if (!before) place.replaceChildren(words("p", "loading"));
    const found = await find().catch((error) => ({ facts: error.message, show: () => [failed(error)] }));
    const facts = JSON.stringify(found.facts);
    if (facts !== before) place.replaceChildren(...found.show());
    before = facts;
  }
  element.addEventListener("toggle", load);
  return { element, load };
}

function history(events) {
  const item = (each) => make(
    "li", {},
    make("p", {}, badge(STATES[each.action], each.action), " ", make("strong", {}, each.stage), " ", words("span", "fromTo", each.from, each.version)),
    make("p", { class: "quiet" }, say(make("time", { datetime: each.at }), "at", each.at), " ", words("span", "by", each.by)),
    each.reason ? make("q", {}, each.reason) : say(make("p", { class: "quiet" }), "noReason"),
  );
  const newest = [...events].sort((a, b) => new Date(b.at) - new Date(a.at));
  return { facts: events, show: () => (events.length ? [make("ol", { class: "history", role: "list" }, newest.map(item))] : [words("p", "noHistory")]) };
}

function compare(line, versions) {
  const show = () => {
    if (versions.length < 2) return [words("p", "few")];
    const found = make("div");
    const choice = (key, at) => {
      const id = `line-${line}-${key}`;
      const option = (each, index) => make("option", { value: each.version, selected: index === at }, [each.version, ...each.live].join(" · "));
      return make("div", { class: "field" }, say(make("label", { for: id }), key), make("select", { id, name: key }, versions.map(option)));
    };
    const form = make("form", { class: "fields two" }, choice("old", 1), choice("new", 0), make("p", { class: "row" }, say(make("button", { type: "submit", class: "main" }), "compareSend")));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const { old, new: other } = Object.fromEntries(new FormData(form));
      found.replaceChildren(words("p", "loading"));
      found.replaceChildren(...(await ask(path("lines", line, "versions", old, other)).then((said) => sides(line, said, old, other), (error) => [failed(error)])));
    });
    return [form, found];
  };
  return { facts: versions, show };
}

/** What one has otherwise than the other. */
function sides(line, said, old, other) {
  const metrics = Object.entries(said.metrics).map(([name, pair]) => [name.replace("per_class.", ""), ...pair.map(value)]);
  const data = [...said.inputs, ...Object.entries(said.data).filter(([, items]) => items.length).map(([kind, items]) => words("span", `counts.${kind}`, items.length))];
  const { compared, changed } = said.answers;
  announce("changed", changed.length, compared);
  const row = (each) => [[...photo(line, other, each.source), each.source], each.label, each.from, each.to, fate(each)];
  return [
    words("h4", "metrics"), table("metrics", ["metric", make("span", {}, old), make("span", {}, other)], metrics),
    words("h4", "settings"), list(said.config),
    words("h4", "changed", changed.length, compared),
    changed.length ? table("changed", ["input", "truth", make("span", {}, old), make("span", {}, other), "verdict"], changed.slice(0, SHOWN).map(row)) : "",
    changed.length > SHOWN ? words("p", "more", changed.length - SHOWN) : "",
    ...[["data", data], ["packages", said.packages], ["code", said.code]].flatMap(([name, items]) => (items.length ? [words("h4", name), list(items)] : [])),
  ];
}

/** The photo of that name, small, as soon as it is there; nothing for a row of a table. */
function photo(line, version, source) {
  if (!PHOTO.test(source)) return [];
  const image = make("img", { class: "thumbnail", alt: "", hidden: true });
  picture(path("lines", line, "versions", version, "photos", ...source.split("/"))).then((url) => url && Object.assign(image, { src: url, hidden: false }));
  return [image];
}

function fate({ label: truth, from, to }) {
  return to === truth ? badge("live", "better") : from === truth ? badge("problem", "worse") : badge("workspace", "neither");
}

function list(items) {
  if (!items.length) return words("p", "same");
  return make("ul", { class: "plain" }, items.slice(0, SHOWN).map((each) => (typeof each === "string" ? quoted("li", each) : make("li", {}, each))));
}

/** A metric, or one with the ends of its interval; sizes and counts are whole numbers. */
function value(found) {
  if (Array.isArray(found)) {
    const [middle, low, high] = found;
    return low === null || low === undefined ? value(middle) : say(make("span", {}), "ranged", middle, low, high);
  }
  return typeof found === "number" ? say(make("span", {}), "plain", found) : make("span", {}, String(found ?? "–"));
}

function shadow(said) {
  const answer = (version, given, all) => [make("p", { class: "quiet" }, version ?? "–"), bars(all, given)];
  const row = (each) => make(
    "li", {}, make("h4", {}, each.input),
    make("p", { class: "quiet" }, say(make("time", { datetime: each.at }), "at", each.at), ` · ${each.sha256.slice(0, 8)}`),
    make("div", { class: "sides" }, make("div", {}, answer(each.version, each.answer, each.probabilities)), make("div", {}, answer(each.shadow, each.shadow_answer, each.shadow_probabilities))),
  );
  const show = () => {
    if (!said.stage) return [words("p", "noShadow")];
    if (!said.compared) return [words("p", "shadowAwaits", said.stage)];
    return [words("p", "shadowAbout", said.stage, said.disagreed, said.compared), make("ol", { class: "history", role: "list" }, said.disagreements.map(row))];
  };
  return { facts: said, show };
}
