// A line: what is live, how good it is, since when and why; under it, what can be asked and looked up.

import { sentence } from "./api.js";
import { badge, make, quoted, say, words } from "./dom.js";
import { fields, form, photos } from "./inputs.js";
import { panels } from "./panels.js";
import { results } from "./answers.js";

export const PROD = "prod";

/** A card. `element` is shown; `update(line)` brings it to what /lines says of the line now. */
export function card(line) {
  const id = `line-${line.line}`;
  const state = make("div", { class: "live" });
  const ask = make("div", { class: "ask" });
  const answers = results();
  const looks = panels(line.line);
  const question = make("p", { class: "quiet" });
  const element = make(
    "article", { class: "card", "aria-labelledby": id },
    make("header", {}, make("h2", { id }, line.line), question), state, ask, answers.element, looks.element,
  );
  let now = line;
  let stage = PROD;
  let shown = {};
  function choose(chosen) {
    stage = chosen;
    update(now);
    document.getElementById(`${id}-stage`).focus(); // it may have been made anew
  }

  function update(next) {
    now = next;
    const served = now.stages[stage] ?? now.stages[PROD] ?? Object.values(now.stages)[0];
    stage = served?.stage ?? PROD;
    const facts = { state: JSON.stringify([now.stages, now.problems]), asked: JSON.stringify([served?.contract.input, Object.keys(now.stages)]) };
    if (facts.state !== shown.state) {
      question.replaceChildren(served?.contract.question ? quoted("span", served.contract.question) : "");
      state.replaceChildren(...stagesOf(now));
      answers.mark(now.stages);
      if (shown.state) looks.refresh();
    }
    if (facts.asked !== shown.asked) ask.replaceChildren(...asking(served));
    shown = facts;
    return element;
  }

  function asking(served) {
    if (!served) return [];
    const to = () => ({ line: now.line, stage, served: now.stages[stage] });
    const kind = served.contract.input.kind;
    const inputs = kind === "photo"
      ? photos(element, (files) => answers.askPhotos(files, to()))
      : form(fields(served.contract.input.features, `${id}-ask`, ask), now.line, (row) => answers.askRow(row, to()));
    return [...stageChoice(Object.keys(now.stages), `${id}-stage`, stage, choose), inputs];
  }

  return { element, update, poll: looks.poll };
}

/** The stages of a line, prod first, and what is wrong. */
function stagesOf(line) {
  const stages = Object.values(line.stages).sort((a, b) => (b.stage === PROD) - (a.stage === PROD));
  const wrong = Object.entries(line.problems).map(([stage, each]) => {
    const said = quoted("span", `${stage}: ${sentence(each)}`);
    return make("p", { class: "problem" }, badge("problem", line.stages[stage] ? "problem" : "unanswered"), " ", said);
  });
  return [...stages.map((each, at) => stageOf(each, at > 0)), ...wrong];
}

function stageOf(served, small) {
  const { version, note, metrics, at, by, reason } = served;
  const head = make(
    "p", { class: "version" }, version === null ? words("strong", "workspace") : make("strong", {}, version), " ",
    version === null ? badge("workspace", "never") : badge("live", "onStage", served.stage),
    version !== null && note ? badge("workspace", "outOfStep") : null,
  );
  const why = at && make(
    "p", { class: "since" }, say(make("time", { datetime: at }), "since", at), " ", by ? words("span", "by", by) : "",
    reason ? make("q", {}, reason) : null,
  );
  const notes = version === null ? words("p", "neverDeployed") : note ? quoted("p", note) : null;
  notes?.classList.add("note");
  return make("div", { class: small ? "stage small" : "stage" }, head, notes, accuracy(metrics), why);
}

/** The accuracy with its interval, as numbers and as a picture of them. */
function accuracy({ accuracy: value, accuracy_low: low, accuracy_high: high, n }) {
  const name = say(make("span", { class: "quiet" }), "accuracy");
  if (value === null || value === undefined) return make("p", { class: "accuracy" }, name, " ", words("span", "noAccuracy"));
  const known = typeof low === "number" && typeof high === "number";
  const ends = known ? [low, high] : [value, value];
  const band = make("span", { class: "band" });
  const dot = make("span", { class: "dot" });
  band.style.left = `${ends[0] * 100}%`;
  band.style.width = `${(ends[1] - ends[0]) * 100}%`;
  dot.style.left = `${value * 100}%`;
  return make(
    "div", { class: "accuracy" }, make("p", {}, name, " ", say(make("strong", {}), "percent", value)),
    make("div", { class: "scale", "aria-hidden": "true" }, band, dot),
    known ? make("p", { class: "quiet" }, words("span", "interval", low, high, n)) : null,
  );
}

/** Where there is more than one stage, which is asked. */
function stageChoice(stages, id, chosen, choose) {
  if (stages.length < 2) return [];
  const options = stages.map((each) => make("option", { value: each, selected: each === chosen }, each));
  const select = make("select", { id, onchange: (event) => choose(event.target.value) }, options);
  return [make("p", { class: "row" }, say(make("label", { for: id }), "askedStage"), select)];
}
