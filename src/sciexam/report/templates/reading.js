// Reading a report: filters, search, differences, keys. The state is kept in the address: #p17&search=sky&outcome=sft+won.
// What models and judges said is only ever text or, unpacked, markup that the page's own template escaped.
(() => {
  "use strict";
  const tools = document.getElementById("tools");
  if (!tools) return;

  const articles = [...document.querySelectorAll("article.prompt")];
  const listed = [...document.querySelectorAll(".index > li")];
  const controls = Object.fromEntries([...tools.querySelectorAll("[name]")].map((one) => [one.name, one]));
  const status = document.getElementById("count");
  const none = document.getElementById("none");
  const keys = document.getElementById("keys");
  const numbers = (text) => text.split(" ").map(Number);
  const contests = numbers(tools.dataset.contests); // of each pair of the report
  const judges = numbers(tools.dataset.judges); // of each pair of the report
  const ends = tools.dataset.ends.split(" ").map((pair) => numbers(pair.replace("-", " "))); // of each contest

  // ---------------------------------------------------------------- unpacking

  const chunks = new Map();
  for (const block of document.querySelectorAll("script[data-prompts]")) {
    for (const number of numbers(block.dataset.prompts)) chunks.set(`p${number}`, block);
  }
  const opened = new Map();

  const inflate = async (block) => {
    const bytes = Uint8Array.from(atob(block.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const unpacked = new DOMParser().parseFromString(await new Response(stream).text(), "text/html");
    for (const article of unpacked.querySelectorAll("article.prompt")) {
      const place = document.getElementById(article.id);
      place.replaceChildren(...article.childNodes);
      place.classList.remove("packed");
    }
    redraw();
  };
  const unpack = (article) => {
    const block = article.classList.contains("packed") && chunks.get(article.id);
    if (!block) return null;
    if (!opened.has(block)) opened.set(block, inflate(block));
    return opened.get(block);
  };
  const unpackAll = () => Promise.all(articles.map(unpack));

  // ---------------------------------------------------------------- filters

  const option = (name) => (controls[name] ? controls[name].value : "");
  const ticked = (name) => Boolean(controls[name] && controls[name].checked);
  const fold = (text) => {
    const low = text.toLowerCase();
    if (low.length === text.length) return low; // or the places of the hits would be others
    return text.replace(/[^]/gu, (one) => (one.toLowerCase().length === one.length ? one.toLowerCase() : one));
  };
  const terms = () => fold(controls.search.value).split(/\s+/).filter(Boolean);
  const spoken = (article) => article.querySelectorAll(".id, .question, .answer .text, .said");
  const texts = new WeakMap();
  const textOf = (article) => {
    if (!texts.has(article)) texts.set(article, [...spoken(article)].map((one) => fold(one.textContent)).join("\n"));
    return texts.get(article);
  };

  const scope = () => [...contests.keys()].filter((pair) =>
    (option("pair") === "" || contests[pair] === Number(option("pair"))) &&
    (option("judge") === "" || judges[pair] === Number(option("judge"))));
  const hasOutcome = (letter, pair, wanted) =>
    letter === wanted || (letter === "a" && String(ends[contests[pair]][0]) === wanted) ||
    (letter === "b" && String(ends[contests[pair]][1]) === wanted);
  const fits = (article, pairs, words) => {
    const { category, outcomes, orders, raters } = article.dataset;
    if (option("category") !== "" && option("category") !== category) return false;
    if (option("outcome") !== "" && !pairs.some((pair) => hasOutcome(outcomes[pair], pair, option("outcome")))) return false;
    if (ticked("orders") && !pairs.some((pair) => orders[pair] === "1")) return false;
    if (ticked("raters") && !pairs.some((pair) => raters[pair] === "1")) return false;
    return words.every((word) => textOf(article).includes(word));
  };

  // Which columns and verdicts are shown is a style of the page, so that it holds for what is unpacked later, too.
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const showPair = () => {
    const rules = [];
    if (option("pair") !== "") {
      const [a, b] = ends[Number(option("pair"))];
      rules.push(`.answer:not([data-who="${a}"]):not([data-who="${b}"]) { display: none }`);
      for (const one of controls.outcome.options) {
        one.hidden = /^\d+$/.test(one.value) && ![String(a), String(b)].includes(one.value);
      }
      if (controls.outcome.selectedOptions[0].hidden) controls.outcome.value = "";
    } else {
      for (const one of controls.outcome.options) one.hidden = false;
    }
    const shown = new Set(scope());
    const away = [...contests.keys()].filter((pair) => !shown.has(pair)).map((pair) => `.bench[data-pair="${pair}"]`);
    if (away.length) rules.push(`${away.join(", ")} { display: none }`);
    sheet.replaceSync(rules.join("\n"));
    const two = option("pair") !== "" || Number(tools.dataset.contestants) === 2;
    if (controls.differences) controls.differences.closest("label").hidden = !two;
  };

  let looks = 0;
  const apply = async () => {
    const look = ++looks;
    const words = terms();
    showPair();
    if (words.length && document.querySelector("article.packed")) {
      status.textContent = "Looking through all prompts …";
      await unpackAll();
      if (look !== looks) return;
    }
    const pairs = scope();
    let shown = 0;
    articles.forEach((article, place) => {
      const fit = fits(article, pairs, words);
      article.hidden = !fit;
      if (listed[place]) listed[place].hidden = !fit;
      shown += fit;
    });
    const of = articles.length;
    none.hidden = shown > 0;
    status.textContent = shown === of ? `All ${of} prompts are shown` : `${shown} of ${of} prompts ${shown === 1 ? "is" : "are"} shown`;
    redraw();
  };

  // ---------------------------------------------------------------- marks: hits of the search, and differing words

  const CELLS = 4e6; // of the table of a longest common subsequence: two answers of 2,000 words
  const near = new Set();
  // The text of an element in which code has elements of its own: its text nodes, each with the place where it begins.
  const read = (element) => {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const nodes = [];
    let text = "";
    while (walker.nextNode()) {
      nodes.push({ node: walker.currentNode, start: text.length });
      text += walker.currentNode.data;
    }
    return { text, nodes };
  };
  const range = (nodes, start, end) => {
    const first = nodes.findLast((one) => one.start <= start);
    const last = nodes.findLast((one) => one.start < end);
    return new StaticRange({
      startContainer: first.node, startOffset: start - first.start, endContainer: last.node, endOffset: end - last.start,
    });
  };
  const hits = function* (article, words) {
    for (const element of spoken(article)) {
      const { text: written, nodes } = read(element);
      const text = fold(written);
      for (const word of words) {
        for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
          yield range(nodes, at, at + word.length);
        }
      }
    }
  };

  // Which words of two lists are in no longest common subsequence of both; null where the table would be too large.
  const differing = (one, other) => {
    let start = 0;
    let [n, m] = [one.length, other.length];
    while (start < n && start < m && one[start] === other[start]) start++;
    while (n > start && m > start && one[n - 1] === other[m - 1]) [n, m] = [n - 1, m - 1];
    const width = m - start + 1;
    if ((n - start + 1) * width > CELLS) return null;
    const table = new Uint16Array((n - start + 1) * width);
    for (let i = n - start - 1; i >= 0; i--) {
      for (let j = m - start - 1; j >= 0; j--) {
        table[i * width + j] = one[start + i] === other[start + j]
          ? table[(i + 1) * width + j + 1] + 1
          : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
      }
    }
    const [mine, theirs] = [[], []];
    let [i, j] = [0, 0];
    while (i < n - start && j < m - start) {
      if (one[start + i] === other[start + j]) [i, j] = [i + 1, j + 1];
      else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) mine.push(start + i++);
      else theirs.push(start + j++);
    }
    while (i < n - start) mine.push(start + i++);
    while (j < m - start) theirs.push(start + j++);
    return [mine, theirs];
  };
  const runs = function* (nodes, words, places) {
    for (let at = 0; at < places.length; at++) {
      const first = at;
      while (places[at + 1] === places[at] + 1) at++;
      yield range(nodes, words[places[first]].index, words[places[at]].index + words[places[at]][0].length);
    }
  };
  const differences = (article) => {
    const shown = [...article.querySelectorAll(".answer .text")].filter((one) => one.checkVisibility());
    if (shown.length !== 2) return null;
    const answers = shown.map(read);
    const words = answers.map(({ text }) => [...text.matchAll(/\S+/g)]);
    const found = differing(...words.map((list) => list.map((match) => match[0])));
    article.classList.toggle("too-long", !found);
    return found && found.map((places, side) => [...runs(answers[side].nodes, words[side], places)]);
  };

  const differs = new WeakMap();
  const differencesOf = (article) => {
    const view = option("pair");
    const known = differs.get(article);
    if (known && known.view === view) return known.found;
    const found = differences(article);
    differs.set(article, { view, found });
    return found;
  };

  let drawing = 0;
  const draw = () => {
    drawing = 0;
    const words = terms();
    const marks = { hit: [], "only-left": [], "only-right": [] };
    for (const article of near) {
      if (article.hidden || article.classList.contains("packed")) continue;
      if (words.length) marks.hit.push(...hits(article, words));
      const found = ticked("differences") ? differencesOf(article) : null;
      if (found) {
        marks["only-left"].push(...found[0]);
        marks["only-right"].push(...found[1]);
      }
    }
    for (const [name, ranges] of Object.entries(marks)) CSS.highlights.set(name, new Highlight(...ranges));
    CSS.highlights.get("hit").priority = 1;
    tools.classList.toggle("comparing", ticked("differences"));
  };
  const redraw = () => {
    if (!drawing && window.Highlight) drawing = requestAnimationFrame(draw);
  };
  const watcher = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) {
        near.add(target);
        unpack(target);
      } else near.delete(target);
    }
    redraw();
  }, { rootMargin: "1200px 0px" });

  // ---------------------------------------------------------------- places

  const reading = document.getElementById("reading");
  const top = (element) => element.getBoundingClientRect().top;
  const sticks = () => getComputedStyle(tools).position === "sticky";
  const height = () => document.documentElement.style.setProperty("--tools", `${sticks() ? tools.offsetHeight : 0}px`);
  const below = () => (sticks() ? Math.max(tools.getBoundingClientRect().bottom, 0) : 0); // where one begins to read

  let brought = null;
  const bring = (element) => {
    brought = element;
    let frames = 5;
    const go = () => {
      if (brought !== element || frames-- === 0) return;
      height();
      element.scrollIntoView({ behavior: "instant" });
      requestAnimationFrame(go); // what was estimated above it has its real height only then
    };
    go();
  };

  const shownOnes = () => articles.filter((article) => !article.hidden);
  const lookedAt = () => shownOnes().find((article) => article.getBoundingClientRect().bottom > below() + 40);

  // After a change of what is shown, a reader among the prompts stays where they were, or comes to the nearest that is shown.
  let seen = null;
  const keepPlace = async (change) => {
    const [first] = shownOnes();
    const among = first ? top(first) < below() + 40 : top(none) < below() + 40;
    if (first) seen = lookedAt() ?? shownOnes().at(-1);
    const before = seen && top(seen);
    await change();
    const at = articles.indexOf(seen);
    const nearest = articles.find((article, place) => place >= at && !article.hidden) ?? shownOnes().at(-1);
    if (current && current.hidden) current = nearest ?? null;
    if (!among) return;
    if (nearest && nearest === seen && first) scrollBy({ top: top(seen) - before, behavior: "instant" });
    else bring(nearest ?? none);
  };

  // ---------------------------------------------------------------- the address

  let current = null;
  const remember = () => {
    const said = new URLSearchParams();
    for (const [name, one] of Object.entries(controls)) {
      if (one.type === "checkbox" ? one.checked : one.value) {
        said.set(name, one.type === "checkbox" ? "yes" : one.type === "search" ? one.value : one.selectedOptions[0].text);
      }
    }
    const parts = [current && current.id, said.toString()].filter(Boolean);
    history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
  };
  // A prompt by the number that its anchor has, or by its id, which is only ever compared: it may hold anything.
  const called = (name) => {
    const anchored = articles.find((article) => article.id === name);
    if (anchored || document.getElementById(name)) return anchored;
    return articles.find((article) => article.querySelector(".id").textContent === name);
  };
  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const recall = async (go) => {
    const [first, ...others] = location.hash.slice(1).split("&");
    const named = first && !first.includes("=") && called(decoded(first));
    if (!named && first && !first.includes("=")) {
      await apply();
      const place = document.getElementById(decoded(first));
      if (place && go) bring(place);
      return;
    }
    const said = new URLSearchParams(named ? others.join("&") : location.hash.slice(1));
    for (const [name, one] of Object.entries(controls)) {
      if (one.type === "checkbox") one.checked = said.has(name);
      else if (one.type === "search") one.value = said.get(name) ?? "";
      else one.value = ([...one.options].find((choice) => choice.text === said.get(name)) ?? { value: "" }).value;
    }
    await apply();
    if (named) await show(named);
    else if (first && go) bring(reading);
  };

  const clear = () => {
    for (const one of Object.values(controls)) {
      if (one.type === "checkbox") one.checked = false;
      else one.value = "";
    }
  };
  const show = async (article) => {
    if (article.hidden) {
      clear();
      await apply();
    }
    await unpack(article);
    current = article;
    bring(article);
    article.focus({ preventScroll: true });
    remember();
  };

  // ---------------------------------------------------------------- controls and keys

  let typing = 0;
  const changed = async () => {
    await keepPlace(apply);
    remember();
  };
  for (const one of Object.values(controls)) {
    one.addEventListener(one.type === "search" ? "input" : "change", () => {
      clearTimeout(typing);
      typing = setTimeout(changed, one.type === "search" ? 150 : 0);
    });
  }
  const showAll = () => {
    clear();
    changed();
    controls.search.focus({ preventScroll: true });
  };
  document.getElementById("clear").addEventListener("click", showAll);
  none.querySelector("button").addEventListener("click", showAll);
  document.getElementById("show-keys").addEventListener("click", () => keys.showModal());
  document.getElementById("close-keys").addEventListener("click", () => keys.close());
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const place = document.getElementById(link.getAttribute("href").slice(1));
    if (!articles.includes(place)) return bring(place);
    event.preventDefault();
    show(place);
  });

  const step = (by) => {
    const shown = shownOnes();
    if (!shown.length) return;
    let at = shown.indexOf(current);
    if (at < 0) {
      // Nothing was opened yet: the prompt that one looks at, or the first one below.
      const place = shown.indexOf(lookedAt());
      at = (place < 0 ? shown.length - 1 : place) - (by > 0 ? 1 : 0);
    }
    show(shown[Math.min(Math.max(at + by, 0), shown.length - 1)]);
  };
  const does = {
    j: () => step(1),
    n: () => step(1),
    k: () => step(-1),
    p: () => step(-1),
    "/": () => {
      controls.search.focus();
      controls.search.select();
      tools.scrollIntoView({ block: "nearest" });
    },
    "?": () => keys.showModal(),
    Escape: () => {
      clear();
      changed();
    },
  };
  document.addEventListener("keydown", (event) => {
    const typed = event.target.closest && event.target.closest("input:not([type=checkbox]), select, textarea, dialog");
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
    if (typed && event.key !== "Escape") return;
    const act = does[event.key];
    if (!act) return;
    event.preventDefault();
    act();
    if (typed) typed.blur();
  });
  window.addEventListener("hashchange", () => recall(true));

  // ---------------------------------------------------------------- begin

  tools.hidden = false;
  if (!window.Highlight && controls.differences) {
    controls.differences.closest("label").remove();
    delete controls.differences;
  }
  if (window.DecompressionStream) document.documentElement.classList.add("unpacks");
  else chunks.clear();
  for (const article of articles) watcher.observe(article);
  // The page's own refresh only goes to the place of a fragment, where the address has one.
  const refresh = document.querySelector('meta[http-equiv="refresh"]');
  if (refresh) setTimeout(() => location.reload(), 1000 * Number(refresh.content));
  recall(performance.getEntriesByType("navigation")[0]?.type !== "reload"); // which keeps its place by itself
})();
