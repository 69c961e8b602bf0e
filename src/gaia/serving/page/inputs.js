// What can be asked: photos that are chosen, dropped or taken, and a form made from the contract.

import { ask } from "./api.js";
import { label, make, say, words } from "./dom.js";

let count = 0; // for ids that no other element has

/** Where photos are given; `given(files)` gets them. They may be dropped anywhere on `place`. */
export function photos(place, given, several = true) {
  const id = `photos-${++count}`;
  const take = (input) => {
    const files = [...input.files];
    input.value = ""; // so that the same one can be chosen again
    if (files.length) given(files);
  };
  const file = (name, more) => make("input", { type: "file", accept: "image/*", class: "unseen", id: name, onchange: (event) => take(event.target), ...more });
  drops(place, (files) => given(several ? files : files.slice(0, 1)));
  return make(
    "div", { class: "photos" },
    make("div", { class: "pick" }, file(id, { multiple: several }), say(make("label", { for: id, class: several ? "button main" : "button" }), several ? "choose" : "chooseOne"), words("span", several ? "orDrop" : "orDropOne")),
    make("div", { class: "camera" }, file(`${id}-camera`, { capture: "environment" }), say(make("label", { for: `${id}-camera`, class: "button" }), "camera")),
  );
}

const receivers = new WeakMap(); // of each place, what takes the photos: the last one that was made

function drops(place, given) {
  const known = receivers.has(place);
  receivers.set(place, given);
  if (known) return;
  let inside = 0; // elements of the place that the pointer is in
  const over = (step) => {
    inside = step ? inside + step : 0;
    place.classList.toggle("dropping", inside > 0);
  };
  const carries = (event) => event.dataTransfer.types.includes("Files");
  place.addEventListener("dragenter", (event) => carries(event) && over(1));
  place.addEventListener("dragleave", (event) => carries(event) && over(-1));
  place.addEventListener("drop", (event) => {
    over(0);
    const files = [...event.dataTransfer.files];
    if (files.length) receivers.get(place)(files);
  });
}

/** A photo that misses its place must not replace the page. */
export function dropNowhere() {
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
}

/** A labelled field for each feature. `before`: fields whose values are kept where they fit. */
export function fields(features, id, before = null) {
  return features.map((feature) => {
    const name = `${id}-${feature.name}`;
    const { categories = [], range, order, date } = feature;
    const choices = order ?? (feature.type === "category" ? categories.filter(Boolean) : null);
    const gap = order || categories.includes("") ? "notGiven" : "pick"; // what an empty choice says
    const hint = range && !order && !date ? say(make("span", { class: "quiet", id: `${name}-hint` }), "from", ...range) : null;
    const about = { id: name, name: feature.name, ...(hint ? { "aria-describedby": `${name}-hint` } : {}) };
    const field = choices
      ? make("select", about, say(make("option", { value: "" }), gap), choices.map((each) => make("option", { value: each }, each)))
      : date ? make("input", { ...about, type: "date" })
      : make("input", { ...about, type: "number", step: "any", inputmode: "decimal", autocomplete: "off" });
    field.value = before?.querySelector(`[id="${CSS.escape(name)}"]`)?.value ?? "";
    const column = feature.column !== feature.name ? make("span", { class: "quiet" }, ` ${feature.column}`) : null;
    return make("div", { class: "field" }, make("label", { for: name }, feature.name, column), field, hint);
  });
}

/** What stands in the fields: numbers as numbers; one that is empty counts as not measured. */
export function row(place) {
  const read = (field) => (field.type === "number" ? (field.value === "" ? null : field.valueAsNumber) : field.value);
  return Object.fromEntries([...place.querySelectorAll("[name]")].map((field) => [field.name, read(field)]));
}

/** Fields with their buttons; `given(row)` gets what stands in them. */
export function form(inside, line, given, send = "send", more = []) {
  const element = make(
    "form", { class: "fields", noValidate: true }, inside, more,
    make("p", { class: "row" }, say(make("button", { type: "submit", class: "main" }), send), say(make("button", { type: "button", onclick: () => example(element, line) }), "example")),
  );
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    given(row(element));
  });
  return element;
}

/** Fill in the row that the API's own page shows for the line. */
async function example(element, line) {
  const said = await ask("openapi.json").catch(() => null);
  const found = said?.paths["/lines/{line}/predict"].post.requestBody.content["application/json"].examples?.[line]?.value.rows[0] ?? {};
  for (const field of element.querySelectorAll("[name]")) if (field.name in found) field.value = found[field.name] ?? "";
}
