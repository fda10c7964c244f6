// The page of `sciexam serve`: one question to both models, and a vote. Whatever comes from a model becomes a text node.
"use strict";

const at = id => document.getElementById(id);
const HANDS = ["left", "right"];
const WORDS = { left: "Left", right: "Right" };

let names = []; // of the models, the contestant first
let talk = null; // the id of the conversation that goes on
let known = null; // which model is on which hand, as far as the page knows
let visit = null; // what the server gave for the agreement to keep votes
let flying = null; // the AbortController of the question that is being answered
let turn = null; // the last one on the page

// ---------------------------------------------------------------- asking the server

function headers() {
  const token = sessionStorage.getItem("token");
  return { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
}

async function ask(path, body, signal) {
  const given = body === undefined ? { headers: headers() } : { method: "POST", headers: headers(), body: JSON.stringify(body), signal };
  const answer = await fetch(path, given);
  if (answer.status === 401) {
    sessionStorage.removeItem("token");
    show("gate");
    throw new Error("This server asks for its token.");
  }
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    throw new Error(told?.error?.message ?? `The server answers with ${answer.status}.`);
  }
  return answer;
}

async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (held + value).split("\n");
    held = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

// ---------------------------------------------------------------- what is on the page

function element(tag, kind, text) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text) {
  at("status").textContent = text;
}

function show(what) {
  at("gate").hidden = what !== "gate";
  at("welcome").hidden = what !== "welcome";
  at("dock").hidden = what === "gate";
  at("new").hidden = what === "gate";
  at("blind-switch").hidden = what === "gate" || names.length < 2;
  if (what === "gate") at("token").focus();
}

function addTurn(text) {
  const item = element("li");
  const question = element("p", text.length > 320 ? "question long" : "question", text);
  question.dir = "auto";
  const answers = element("div", names.length > 1 ? "answers" : "answers alone");
  const sides = {};
  for (const hand of HANDS.slice(0, names.length)) {
    const card = element("article", `answer ${hand}`);
    const heading = element("h2");
    heading.id = `${hand}-${document.querySelectorAll(".talk > li").length}`;
    card.setAttribute("aria-labelledby", heading.id);
    card.setAttribute("aria-busy", "true");
    const written = element("div", "text");
    written.dir = "auto";
    const remark = element("p", "remark");
    card.append(heading, written, remark);
    answers.append(card);
    sides[hand] = { card, heading, written, remark };
  }
  item.append(question, answers);
  at("talk").append(item);
  return { item, sides, text };
}

function nameHands() {
  for (const item of document.querySelectorAll(".answer")) {
    const hand = item.classList.contains("left") ? "left" : "right";
    const heading = item.querySelector("h2");
    heading.replaceChildren();
    if (names.length < 2) {
      heading.append(element("span", "", names[0]));
    } else if (known) {
      heading.append(element("b", "", known[hand]), element("span", "is", WORDS[hand].toLowerCase()));
    } else {
      heading.append(element("span", "", WORDS[hand]));
    }
  }
}

function settle() {
  const busy = flying !== null;
  at("send").hidden = busy;
  at("stop").hidden = !busy;
  at("new").disabled = busy || at("talk").children.length === 0;
  at("votes").hidden = !(!busy && names.length > 1 && talk && !known && turn?.whole);
  at("keeping").hidden = names.length < 2 || !at("blind").checked;
}

function begin() {
  talk = known = turn = null;
  at("talk").replaceChildren();
  show("welcome");
  say("");
  settle();
}

// ---------------------------------------------------------------- a question, and its answers

async function send() {
  const text = at("question").value;
  if (!text.trim() || flying) return;
  show("talk");
  flying = new AbortController();
  turn = addTurn(text);
  at("question").value = "";
  nameHands();
  settle();
  say("");
  turn.item.scrollIntoView({ block: "start" });
  try {
    const answer = await ask("/chat/say", { talk, text, blind: at("blind").checked }, flying.signal);
    for await (const event of lines(answer)) take(event);
    say(turn.whole ? (names.length > 1 ? "Both have answered." : "") : "This question was not answered, and is not part of the conversation.");
  } catch (error) {
    say(error.name === "AbortError" ? "Stopped. This question is not part of the conversation." : error.message);
    if (error.name !== "AbortError") at("question").value ||= text;
  }
  for (const { card } of Object.values(turn.sides)) card.setAttribute("aria-busy", "false");
  flying = null;
  settle();
}

function take(event) {
  const side = turn.sides[event.hand];
  if (event.talk) {
    talk = event.talk;
    known = event.names;
    nameHands();
  } else if (event.text !== undefined) {
    side.written.append(event.text);
  } else if (event.end) {
    side.card.setAttribute("aria-busy", "false");
    if (event.end === "length") side.remark.textContent = "Cut off at the length that the suite allows.";
    if (!side.written.textContent) side.remark.textContent = "An empty answer.";
  } else if (event.error) {
    side.card.setAttribute("aria-busy", "false");
    side.card.dataset.failed = "";
    side.remark.textContent = event.error;
  } else {
    turn.whole = event.done === true;
  }
}

// ---------------------------------------------------------------- votes

async function vote(choice) {
  if (at("votes").hidden) return;
  at("votes").hidden = true;
  try {
    const answer = await ask("/chat/vote", { talk, choice, visit });
    const told = await answer.json();
    known = told.names;
    nameHands();
    if (choice !== "tie") turn.sides[choice].card.classList.add("better");
    const preferred = choice === "tie" ? "You saw no difference" : `You preferred ${known[choice]}`;
    const outcome = `${preferred}: left was ${known.left}, right was ${known.right}. ${told.kept ? "The vote was kept." : "The vote was not kept."}`;
    turn.item.append(element("p", "outcome", outcome));
    say(outcome);
    at("new").focus();
  } catch (error) {
    say(error.message);
  }
  settle();
}

async function keep() {
  at("notice").close();
  try {
    const told = await (await ask("/chat/agree", {})).json();
    visit = told.visit;
    at("keep").checked = true;
    at("erase").hidden = false;
    at("erase").textContent = `Delete what was kept as ${told.visitor}`;
    say(`Your votes are kept from here on, as ${told.visitor}.`);
  } catch (error) {
    at("keep").checked = false;
    say(error.message);
  }
}

async function erase() {
  try {
    const told = await (await ask("/chat/forget", { visit })).json();
    say(`Deleted: ${told.deleted} ${told.deleted === 1 ? "vote" : "votes"}, with what was asked and answered. Nothing more is kept.`);
  } catch (error) {
    say(error.message);
    return;
  }
  visit = null;
  at("keep").checked = false;
  at("erase").hidden = true;
}

async function changeBlindness() {
  if (at("blind").checked) {
    if (talk) begin(); // whoever has seen the names does not compare blind
  } else if (talk && !known) {
    try {
      known = (await (await ask("/chat/reveal", { talk })).json()).names;
      nameHands();
      say("The names are shown. To vote, begin a blind conversation.");
    } catch (error) {
      say(error.message);
    }
  }
  settle();
}

// ---------------------------------------------------------------- the beginning

async function open() {
  const told = await (await ask("/chat/about")).json();
  names = told.names;
  const [own, other] = names;
  const served = at("served");
  served.replaceChildren(element("b", "", own));
  if (other) served.append(" beside ", element("b", "", other));
  document.title = other ? `${own} beside ${other}` : own;
  at("greeting").textContent = other ? `Ask ${own} and ${other} at once` : `Ask ${own}`;
  const drawn = told.temperature ? `at temperature ${told.temperature}` : "always with the likeliest word";
  at("about").textContent = (other ? "Both get the same question, and answer side by side. While the switch Blind is on, which is left and which is right is drawn anew for each conversation, and told once you have voted. They answer" : "It answers") + ` with the settings of the exam ${told.suite}: ${drawn}, in at most ${told.max_tokens} tokens.`;
  at("why").textContent = told.why ? `${told.why}.`.replace(/\.\.$/, ".") : "";
  begin();
  at("question").focus();
}

if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem("token", decodeURIComponent(location.hash.slice(7)));
  history.replaceState(null, "", "/");
}

at("gate").addEventListener("submit", event => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value);
  at("token").value = "";
  start();
});
at("ask").addEventListener("submit", event => {
  event.preventDefault();
  send();
});
at("question").addEventListener("keydown", event => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  } else if (event.key === "Escape") {
    at("question").blur();
  }
});
at("stop").addEventListener("click", () => {
  flying?.abort();
  at("question").focus();
});
at("new").addEventListener("click", () => {
  begin();
  at("question").focus();
});
at("blind").addEventListener("change", changeBlindness);
for (const button of document.querySelectorAll("[data-choice]")) button.addEventListener("click", () => vote(button.dataset.choice));
at("keep").addEventListener("change", () => {
  if (at("keep").checked) {
    at("keep").checked = false; // until the notice was read
    at("notice").showModal();
  } else {
    visit = null;
    at("erase").hidden = true;
    say("No further vote is kept. What was kept stays.");
  }
});
at("agree").addEventListener("click", keep);
at("decline").addEventListener("click", () => at("notice").close());
at("erase").addEventListener("click", erase);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || at("notice").open) return;
  if (event.target.matches("textarea, input:not([type=checkbox])")) return;
  const choice = { 1: "left", 2: "tie", 3: "right" }[event.key];
  if (choice) vote(choice);
  else if (event.key === "n" && !at("new").disabled && !at("new").hidden) at("new").click();
});

function start() {
  open().catch(error => {
    if (at("gate").hidden) {
      at("dock").hidden = false;
      say(error.message);
    }
  });
}

start();
