// The page: it asks every two seconds what is live, shows it, and says what has changed.

import { ask, hasKey, keep, sentence } from "./api.js";
import { announce, make, quoted, say, translate, words } from "./dom.js";
import { card } from "./card.js";
import { dropNowhere } from "./inputs.js";
import { inspection } from "./inspect.js";
import { choose, language } from "./texts.js";

const EVERY = 2000; // ms between two looks at the server
const PATIENCE = 10; // s that a look may take
const NEWS = 3; // changes that stay in sight

const at = (id) => document.getElementById(id);
const cards = new Map();
const inspecting = inspection(at("inspect"));
let before = null; // what /lines said last
let timer = null;

async function look() {
  clearTimeout(timer);
  if (!document.hidden) {
    try {
      show(await ask("lines", null, PATIENCE));
    } catch (error) {
      troubled(error);
      if (error.status === 401) return; // until there is a key
    }
  }
  timer = setTimeout(look, EVERY);
}

function show(lines) {
  if (pulse("connected", "live")) announce("back");
  at("trouble").hidden = true;
  at("lines").removeAttribute("aria-busy");
  const known = new Set(lines.map((each) => each.line));
  for (const [line, each] of cards) if (!known.has(line)) cards.delete(line) && each.element.remove();
  for (const each of lines) {
    if (!cards.has(each.line)) cards.set(each.line, card(each));
    const { element, update, poll } = cards.get(each.line);
    update(each);
    if (!element.isConnected) at("lines").append(element);
    poll();
  }
  at("none")?.remove();
  if (!lines.length) at("lines").append(say(make("p", { id: "none" }), "noLines"));
  if (before) tell(before, lines);
  before = lines;
  inspecting.update(lines);
}

/** Say what is live now and was not before. */
function tell(old, lines) {
  const was = Object.fromEntries(old.map((each) => [each.line, each]));
  for (const { line, stages, problems } of lines) {
    const { stages: past = {}, problems: known = {} } = was[line] ?? {};
    for (const [stage, now] of Object.entries(stages)) {
      if (past[stage]?.sha256 === now.sha256 && past[stage]?.version === now.version) continue;
      if (now.version === null) news(line, "rebuilt", line);
      else news(line, "wentLive", line, stage, now.version, now.action);
    }
    for (const stage of Object.keys(past)) if (!stages[stage]) news(line, "wentAway", line, stage);
    for (const [stage, each] of Object.entries(problems)) {
      if (JSON.stringify(known[stage]) !== JSON.stringify(each)) news(line, "newProblem", `${line}, ${stage}`, sentence(each));
    }
  }
}

function news(line, key, ...given) {
  const list = at("news");
  const item = make("li", {}, say(make("time", { class: "quiet" }), "clock", new Date().toISOString()), " ", words("span", key, ...given), " ");
  item.append(say(make("button", { type: "button", class: "plain", onclick: () => { item.remove(); list.hidden = !list.children.length; } }), "dismiss"));
  list.prepend(item);
  while (list.children.length > NEWS) list.lastChild.remove();
  list.hidden = false;
  announce(key, ...given);
  const { element } = cards.get(line);
  element.classList.remove("changed");
  requestAnimationFrame(() => element.classList.add("changed"));
}

function troubled(error) {
  const locked = error.status === 401;
  const first = pulse(locked ? "locked" : "gone", "problem");
  const [paragraph, button] = at("trouble").children;
  button.hidden = !locked;
  if (first || at("trouble").hidden) {
    at("trouble").hidden = false;
    if (error.status === 0) say(paragraph, "goneLong");
    else {
      delete paragraph.dataset.text;
      paragraph.replaceChildren(quoted("span", error.message));
    }
  }
}

/** Show how it stands with the server; whether it was in trouble before and isn't now, or the other way round. */
function pulse(key, state) {
  const element = at("pulse");
  const old = element.dataset.state;
  element.dataset.state = state;
  say(element.lastElementChild, key);
  return old !== state && old !== "waiting";
}

function askForKey() {
  const dialog = at("key");
  if (dialog.open) return;
  say(at("key-about"), hasKey() ? "keyWrong" : "keyAbout");
  dialog.showModal();
}

function setUp() {
  translate();
  dropNowhere();
  document.documentElement.classList.toggle("touch", navigator.maxTouchPoints > 0);
  for (const button of at("languages").children) {
    const mark = () => button.setAttribute("aria-pressed", String(button.value === language()));
    mark();
    button.addEventListener("click", () => {
      choose(button.value);
      translate();
    });
    new MutationObserver(mark).observe(document.documentElement, { attributeFilter: ["lang"] });
  }
  const dialog = at("key");
  document.addEventListener("locked", askForKey);
  at("trouble").lastElementChild.addEventListener("click", askForKey);
  dialog.querySelector("button[type=button]").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("submit", () => {
    keep(at("key-field").value);
    at("key-field").value = "";
    look();
  });
  document.addEventListener("visibilitychange", () => document.hidden || look());
}

setUp();
look();
