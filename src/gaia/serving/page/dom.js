// Elements, and the words in them. Whatever comes from elsewhere gets in as text, never as HTML.

import { language, text } from "./texts.js";

const given = new WeakMap(); // what the text of an element is made of
const labelled = new WeakMap(); // and its accessible name

/** An element: attributes (a function or a truth is a property), and what is inside it. */
export function make(tag, about = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(about)) {
    if (typeof value === "string" || typeof value === "number") element.setAttribute(key, value);
    else if (value !== null && value !== undefined) element[key] = value;
  }
  element.append(...inside.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

/** The element, saying one of the page's texts: in the other language, too, once that is chosen. */
export function say(element, key, ...parts) {
  element.dataset.text = key;
  given.set(element, parts);
  element.textContent = text(key, ...parts);
  return element;
}

/** The element, with one of the page's texts as its accessible name. */
export function label(element, key, ...parts) {
  element.dataset.label = key;
  labelled.set(element, parts);
  element.setAttribute("aria-label", text(key, ...parts));
  return element;
}

/** Say everything anew, in the language of now. */
export function translate() {
  document.documentElement.lang = language();
  for (const each of document.querySelectorAll("[data-text]")) say(each, each.dataset.text, ...(given.get(each) ?? []));
  for (const each of document.querySelectorAll("[data-label]")) label(each, each.dataset.label, ...(labelled.get(each) ?? []));
}

/** What the server says: English, whatever language the page has. */
export const quoted = (tag, sentence, about = {}) => make(tag, { lang: "en", ...about }, sentence);

/** One of the page's texts in an element of its own. */
export const words = (tag, key, ...parts) => say(make(tag), key, ...parts);

/** A state: a sign, and a word; never a colour alone. */
export function badge(state, key, ...parts) {
  return make("span", { class: "state", "data-state": state }, make("span", { "aria-hidden": "true" }), " ", words("span", key, ...parts));
}

/** A table that scrolls by itself where it is too wide; by keyboard, too. */
export function table(name, heads, rows) {
  const head = make("tr", {}, heads.map((each) => (typeof each === "string" ? say(make("th", { scope: "col" }), each) : make("th", { scope: "col" }, each))));
  const body = rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first), rest.map((cell) => make("td", {}, cell))));
  return label(make("div", { class: "wide", role: "region", tabindex: "0" }, make("table", {}, make("thead", {}, head), make("tbody", {}, body))), name);
}

/** Have a screen reader say it, after what it says now. */
export function announce(key, ...parts) {
  const place = document.getElementById("said");
  place.append(words("p", key, ...parts));
  while (place.children.length > 4) place.firstChild.remove();
}
