// Growing conditions first; where the risk is not clearly low, the photo.

import { ask } from "./api.js";
import { announce, badge, make, quoted, say, words } from "./dom.js";
import { bars, by, failed, reasons, thumbnail } from "./answers.js";
import { fields, form, photos, row } from "./inputs.js";

const PROD = "prod";

/** Show the form in `section` while both lines of the server's policy are live. `update(lines)` does so. */
export function inspection(section) {
  const place = section.querySelector(".columns");
  let policy = null;
  let shown = "";

  async function update(lines) {
    policy ??= await ask("inspect").then((said) => said ?? {}, () => null);
    if (!policy) return; // until the next look
    const live = Object.fromEntries(lines.map((each) => [each.line, each.stages[PROD]]));
    const conditions = live[policy.conditions];
    section.hidden = !(conditions && live[policy.photo]);
    const facts = section.hidden ? shown : JSON.stringify(conditions.contract.input);
    if (facts === shown) return;
    shown = facts;
    say(section.querySelector("#inspect-about"), "inspectAbout", policy.conditions, policy.photo, policy.low);
    place.replaceChildren(...parts(conditions.contract.input.features, policy.conditions, place, section));
  }

  return { update };
}

function parts(features, line, before, section) {
  const answer = make("div", { class: "answer", hidden: true });
  const chosen = say(make("p", { class: "chosen-photo" }), "noPhoto");
  let photo = null;
  function choose(file) {
    photo = file;
    const remove = say(make("button", { type: "button", class: "plain", onclick: () => choose(null) }), "remove");
    if (file) {
      delete chosen.dataset.text;
      chosen.replaceChildren(thumbnail(file), make("span", {}, file.name), remove);
    } else {
      say(chosen, "noPhoto");
    }
  }
  const look = make("fieldset", {}, words("legend", "photoOptional"), photos(section, ([file]) => choose(file), false), chosen);
  const asked = make("fieldset", { class: "fields" }, words("legend", "conditions"), fields(features, "inspect", before));

  async function inspect() {
    const body = new FormData();
    body.append("json", JSON.stringify(row(asked)));
    if (photo) body.append("files", photo, photo.name);
    answer.hidden = false;
    answer.replaceChildren(words("p", "asking"));
    try {
      const said = await ask("inspect", body);
      answer.replaceChildren(...concluded(said));
      announce("said", said.answer, said.why.join("; "));
    } catch (error) {
      answer.replaceChildren(failed(error));
      announce("said", line, error.message);
    }
  }

  return [form(asked, line, inspect, "inspectSend", [look]), answer];
}

function concluded(said) {
  const uncertain = said.answer === "uncertain";
  const head = uncertain ? badge("uncertain", "uncertain") : make("strong", {}, said.answer);
  const spoke = said.models.map((each) => make("li", {}, make("p", {}, make("strong", {}, each.line), ` · ${each.answer.answer}`), bars(each.answer.probabilities, each.answer.answer), by(each)));
  return [
    make("div", { class: "verdict", "data-state": uncertain ? "uncertain" : "sure" }, head, reasons(said.why), said.photo_wanted ? words("p", "photoWanted") : null),
    make("p", {}, words("span", "risk"), " ", say(make("strong", {}), "percent", said.risk)),
    words("h3", "spoke"), make("ul", { class: "spoke", role: "list" }, spoke),
  ];
}
