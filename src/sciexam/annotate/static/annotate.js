"use strict";
// The page works without this file: plain forms and buttons. It adds keys, a judgement that waits for the network,
// drafts, and the dragging of a ranking.
{
  const form = document.getElementById("judgement");
  const status = document.getElementById("status");
  let state = "open"; // then "sending" until the server has the judgement, then "saved"; "native" is the browser's turn

  // ---- Keys -------------------------------------------------------------------------------------------------------

  // Digits that need Shift on this layout (AZERTY) and letters of a layout without Latin ones are known by their place.
  function keyOf(event) {
    const digit = /^Digit(\d)$/.exec(event.code);
    if (digit && !event.shiftKey && !/^\d$/.test(event.key)) return digit[1];
    const letter = /^Key([A-Z])$/.exec(event.code);
    if (letter && !/^[\x20-\x7e]$/.test(event.key)) return letter[1].toLowerCase();
    return event.key.toLowerCase();
  }

  function isTyping(element) {
    return element.matches("textarea, select, input:not([type=radio])");
  }

  function onKey(event) {
    // A held key repeats: it must not judge the next item too, which opens while it is still down.
    if (event.defaultPrevented || event.repeat || event.isComposing) return;
    if (event.ctrlKey || event.altKey || event.metaKey) return saveFromText(event);
    if (event.key === "Escape") return leave(event.target);
    if (!isTyping(event.target) && press(keyOf(event))) event.preventDefault();
  }

  // Whatever names the key is clicked, so that a key does what its button does, and nothing else.
  function press(key) {
    const named = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)];
    const element = named.find((one) => !one.closest(".dispute") || one.closest("[data-current]"));
    if (!element) return false;
    if (element.matches("textarea")) enter(element);
    else element.click();
    if (element.matches("summary") && element.parentElement.open) element.nextElementSibling.focus();
    return true;
  }

  // Of several pairs on one page the keys are those of the one in the middle of the window, which shows them.
  function follow(pairs) {
    const mark = () => {
      for (const one of pairs) {
        const { top, bottom } = one.getBoundingClientRect();
        one.toggleAttribute("data-current", top <= innerHeight / 2 && innerHeight / 2 < bottom);
      }
    };
    for (const event of ["scroll", "resize"]) addEventListener(event, mark, { passive: true });
    mark();
  }

  // A comment goes on at its end; a text that is edited is read from its beginning.
  function enter(field) {
    const end = field.value.length;
    field.focus();
    if (!field.dataset.saves && field.selectionEnd === 0) field.setSelectionRange(end, end);
  }

  function leave(element) {
    if (isTyping(element)) return element.blur();
    for (const panel of document.querySelectorAll("details[name=panel][open]")) panel.open = false;
  }

  // The second click of a double click may meet the page that the first one opened: there it is nobody's choice.
  function onClick(event) {
    if (event.detail > 1 && event.target.closest("button:not([type=button])")) event.preventDefault();
  }

  // Ctrl+Enter saves where a text is the work. In a comment it does nothing: which choice would it mean?
  function saveFromText(event) {
    const button = document.getElementById(event.target.dataset.saves ?? "");
    if (button && event.key === "Enter" && (event.ctrlKey || event.metaKey)) button.click();
  }

  // What was open stays open on the next item: a rubric that one is learning, criteria that one always fills in.
  function rememberOpen(details) {
    const key = `sciexam-${details.dataset.remember}`;
    try {
      if (sessionStorage.getItem(key) !== null) details.open ||= sessionStorage.getItem(key) === "open";
      details.addEventListener("toggle", () => sessionStorage.setItem(key, details.open ? "open" : "shut"));
    } catch {
      // Storage is blocked: each page then starts with it shut.
    }
  }

  // ---- The judgement ----------------------------------------------------------------------------------------------

  // What the server said, or null where it could not be reached or failed: then the same post may be sent again.
  async function post(url, body, cancel) {
    const limit = AbortSignal.timeout(15000);
    try {
      const response = await fetch(url, {
        method: "POST", body, headers: { "X-Sciexam": "1" }, redirect: "manual", credentials: "omit", cache: "no-store",
        signal: cancel ? AbortSignal.any([limit, cancel]) : limit,
      });
      return response.status >= 500 ? null : { ok: response.ok, text: await response.text() };
    } catch {
      return null;
    }
  }

  function onSubmit(event) {
    if (state === "native") return;
    event.preventDefault();
    if (state === "open" && event.submitter?.name === "choice") judge(event.submitter);
  }

  async function judge(button) {
    const body = new URLSearchParams(new FormData(form, button)); // before lock(): a disabled field is not sent
    state = "sending";
    lock(button);
    for (let seconds = 1; ; seconds = Math.min(2 * seconds, 8)) {
      const answer = await post(form.action, body);
      if (answer) return goOn(answer, button);
      say(`Not saved yet. Trying again in ${seconds} s…`, true);
      await until(seconds);
    }
  }

  function goOn(answer, button) {
    const next = nextPage(answer);
    if (next) {
      state = "saved";
      location.assign(next);
    } else {
      submitNatively(button);
    }
  }

  function nextPage(answer) {
    try {
      const next = answer.ok && JSON.parse(answer.text).next;
      return typeof next === "string" && next.startsWith("/") ? next : null;
    } catch {
      return null;
    }
  }

  // The server refused: the browser posts the same again, so that the server's own page says why.
  function submitNatively(button) {
    unlock();
    state = "native";
    form.requestSubmit(button);
  }

  // Until it is saved, what was chosen is shown and cannot be changed: it may have reached the server already.
  function lock(button) {
    drafts.stop();
    form.dataset.sending = "";
    button.dataset.chosen = "";
    button.setAttribute("aria-pressed", "true");
    for (const field of form.elements) {
      if (field.matches("textarea")) field.readOnly = true;
      else if (field.matches("input, select")) field.disabled = true;
    }
  }

  function unlock() {
    delete form.dataset.sending;
    for (const field of form.elements) {
      if (field.matches("textarea")) field.readOnly = false;
      else if (field.matches("input, select")) field.disabled = false;
    }
  }

  // Some seconds, or less where the browser says that it is online again.
  function until(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      addEventListener("online", () => { clearTimeout(timer); resolve(); }, { once: true });
    });
  }

  let hush = 0;
  function say(text, trouble = false) {
    clearTimeout(hush);
    status.textContent = text;
    status.toggleAttribute("data-trouble", trouble);
    if (!trouble) hush = setTimeout(() => { status.textContent = ""; }, 2500);
  }

  // ---- Drafts -----------------------------------------------------------------------------------------------------

  const drafts = {
    dirty: false,
    sending: false,
    failed: false,
    timer: 0,
    cancel: new AbortController(),

    fields: () => new URLSearchParams(new FormData(form)),

    touch() {
      if (state !== "open") return;
      drafts.dirty = true;
      drafts.keep();
      clearTimeout(drafts.timer);
      drafts.timer = setTimeout(drafts.save, 300);
    },

    // A field was left: what stands in it need not wait.
    leave() {
      if (!drafts.dirty || drafts.sending) return;
      clearTimeout(drafts.timer);
      drafts.save();
    },

    async save() {
      if (drafts.sending) return drafts.touch(); // one after the other: the older one might arrive last
      drafts.dirty = false; // what is typed from here on is not in this draft
      drafts.sending = true;
      const answer = await post(`${form.action}/draft`, drafts.fields(), drafts.cancel.signal);
      drafts.sending = false;
      if (state !== "open") return;
      drafts.failed = !answer;
      if (!answer) say("Draft not saved yet", true);
      if (answer?.ok && !drafts.dirty) say("Draft saved");
      if (answer || drafts.dirty) return; // refused for good, or a newer one is on its way
      drafts.dirty = true;
      drafts.timer = setTimeout(drafts.save, 5000);
    },

    // A draft that arrives after the judgement would be one too late.
    stop() {
      drafts.dirty = drafts.sending = drafts.failed = false;
      clearTimeout(drafts.timer);
      drafts.cancel.abort();
    },

    // The page goes away, and with it a draft that is on its way: a beacon is sent even so.
    flush() {
      if (!drafts.dirty && !drafts.sending) return;
      navigator.sendBeacon(`${form.action}/draft`, drafts.fields());
      drafts.dirty = false;
      drafts.keep();
    },

    // A page that is loaded again at once may be made before the server has the draft: so this tab knows it, too.
    keep() {
      try {
        const kept = { item: form.action, at: Date.now(), fields: drafts.fields().toString() };
        sessionStorage.setItem("sciexam-draft", JSON.stringify(kept));
      } catch {
        // Storage is blocked: the server's draft is all there is.
      }
    },

    // What was typed in this tab a moment ago, if it is of this item and nothing was judged since.
    restore() {
      try {
        const kept = JSON.parse(sessionStorage.getItem("sciexam-draft"));
        sessionStorage.removeItem("sciexam-draft");
        if (kept?.item !== form.action || Date.now() - kept.at > 10000) return;
        const fields = new URLSearchParams(kept.fields);
        if (fields.get("turn") === form.elements.turn.value) drafts.fill(fields);
      } catch {
        // Storage is blocked: the server's draft stands.
      }
    },

    // A ranking has its order in the list itself; it is saved at each move.
    fill(fields) {
      for (const [name, value] of fields) {
        const field = form.elements[name];
        if (name !== "turn" && field && !name.startsWith("rank-")) field.value = value; // of radio buttons, too
      }
      drafts.touch();
    },
  };

  // ---- A ranking --------------------------------------------------------------------------------------------------

  function enableRanking(list) {
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    const rows = () => [...list.children];
    const rowOf = (slot) => rows().find((row) => row.dataset.slot === slot);

    // The places of the rows into the numbers that are shown and the fields that are sent.
    function number() {
      rows().forEach((row, index) => {
        row.querySelector("select").value = String(index + 1);
        row.querySelector(".rank").textContent = index + 1;
        document.querySelector(`#answer-${row.dataset.slot} .place`).textContent = `place ${index + 1}`;
      });
    }

    // The others move around the row: one that leaves the document, even for a moment, loses focus and pointer.
    function put(row, place) {
      const all = rows();
      const from = all.indexOf(row);
      const to = Math.max(0, Math.min(place, all.length - 1));
      if (from === to) return;
      const others = from < to ? all.slice(from + 1, to + 1) : all.slice(to, from);
      const before = others.map((other) => other.getBoundingClientRect().top);
      if (from < to) row.before(...others);
      else row.after(...others);
      others.forEach((other, index) => glide(other, before[index]));
      number();
      drafts.touch();
    }

    function glide(row, before) {
      const shift = before - row.getBoundingClientRect().top;
      if (!still.matches) row.animate([{ transform: `translateY(${shift}px)` }, { transform: "none" }], 120);
    }

    function move(row, place) {
      put(row, place);
      row.scrollIntoView({ block: "nearest" });
      const now = rows().indexOf(row) + 1;
      say(`${row.dataset.name}: place ${now} of ${list.children.length}`);
    }

    function onKeyInRanking(event) {
      const held = event.target.closest("[data-slot]");
      if (!held || state !== "open" || isTyping(event.target)) return;
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const row = rowOf(held.dataset.slot);
      const place = placeFor(event, rows().indexOf(row), held === row);
      if (place === null) return;
      event.preventDefault();
      move(row, place);
    }

    // Arrow keys move a row of the list only: on an answer they scroll, as one expects of a text.
    function placeFor(event, now, inList) {
      const key = keyOf(event);
      if (key === "arrowup" && inList || key === "k" && event.shiftKey) return now - 1;
      if (key === "arrowdown" && inList || key === "j" && event.shiftKey) return now + 1;
      return /^[1-9]$/.test(key) && Number(key) <= list.children.length ? Number(key) - 1 : null;
    }

    function startDrag(event) {
      const row = event.currentTarget.closest("li");
      if (event.button !== 0 || state !== "open") return;
      const grip = event.clientY - row.getBoundingClientRect().top;
      const follow = (moved) => drag(row, moved.clientY, grip);
      event.currentTarget.setPointerCapture(event.pointerId);
      row.classList.add("held");
      event.currentTarget.addEventListener("pointermove", follow);
      event.currentTarget.addEventListener("lostpointercapture", ({ currentTarget }) => {
        currentTarget.removeEventListener("pointermove", follow);
        row.classList.remove("held");
        row.style.transform = "";
        move(row, rows().indexOf(row));
      }, { once: true });
    }

    // The row follows the pointer; it changes places where its middle passes that of another.
    function drag(row, pointer, grip) {
      const middle = pointer - grip + row.offsetHeight / 2;
      const above = rows().filter((other) => other !== row && middleOf(other) < middle);
      put(row, above.length);
      row.style.transform = "";
      row.style.transform = `translateY(${pointer - grip - row.getBoundingClientRect().top}px)`;
      if (pointer < 60) scrollBy(0, -12);
      if (pointer > innerHeight - 120) scrollBy(0, 12);
    }

    // Where it belongs, not where a transform shows it on its way there.
    function middleOf(row) {
      return list.getBoundingClientRect().top + row.offsetTop - list.offsetTop + row.offsetHeight / 2;
    }

    for (const row of rows()) {
      row.querySelector(".rank-field").hidden = true; // it is still sent
      for (const control of row.querySelectorAll("button")) control.hidden = false;
      row.querySelector(".handle").addEventListener("pointerdown", startDrag);
      for (const step of row.querySelectorAll(".step")) {
        step.addEventListener("click", () => move(row, rows().indexOf(row) + Number(step.dataset.step)));
      }
    }
    form.addEventListener("keydown", onKeyInRanking);
    number();
  }

  // ---- All of it begins here --------------------------------------------------------------------------------------

  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  document.querySelectorAll("[data-remember]").forEach(rememberOpen);
  follow(document.querySelectorAll(".dispute"));
  // A page out of the back-forward cache may show an item that was judged since.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  if (form) {
    form.addEventListener("submit", onSubmit);
    drafts.restore();
    form.addEventListener("input", drafts.touch);
    form.addEventListener("focusout", drafts.leave);
    document.addEventListener("visibilitychange", () => { if (document.hidden) drafts.leave(); });
    addEventListener("pagehide", drafts.flush);
    addEventListener("beforeunload", (event) => { if (state === "sending" || drafts.failed) event.preventDefault(); });
    const order = document.getElementById("order");
    if (order) enableRanking(order);
  }
}
