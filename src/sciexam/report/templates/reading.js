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
  const spoken = (article) => article.querySelectorAll(".question, .answer .text, .said");
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
    status.textContent = shown === of ? `All ${of} prompts are shown` : `${shown} of ${of} prompts ${shown === 1 ? "is" : "are"} shown`;
    redraw();
  };

  // ---------------------------------------------------------------- marks: hits of the search, and differing words

  const CELLS = 4e6; // of the table of a longest common subsequence: two answers of 2,000 words
  const near = new Set();
  const range = (node, start, end) =>
    new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end });
  const hits = function* (article, words) {
    for (const element of spoken(article)) {
      const node = element.firstChild;
      if (!node || node.nodeType !== 3) continue;
      const text = fold(node.data);
      for (const word of words) {
        for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
          yield range(node, at, at + word.length);
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
  const runs = function* (node, words, places) {
    for (let at = 0; at < places.length; at++) {
      const first = at;
      while (places[at + 1] === places[at] + 1) at++;
      yield range(node, words[places[first]].index, words[places[at]].index + words[places[at]][0].length);
    }
  };
  const differences = (article) => {
    const shown = [...article.querySelectorAll(".answer .text")].filter((one) => one.checkVisibility());
    const nodes = shown.map((one) => one.firstChild);
    if (nodes.length !== 2 || nodes.some((node) => !node || node.nodeType !== 3)) return null;
    const words = nodes.map((node) => [...node.data.matchAll(/\S+/g)]);
    const found = differing(...words.map((list) => list.map((match) => match[0])));
    article.classList.toggle("too-long", !found);
    return found && found.map((places, side) => [...runs(nodes[side], words[side], places)]);
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
  const recall = async () => {
    const [first, ...others] = location.hash.slice(1).split("&");
    const named = articles.find((article) => article.id === first);
    if (!named && first && !first.includes("=")) return apply(); // another place of the page
    const said = new URLSearchParams(named ? others.join("&") : location.hash.slice(1));
    for (const [name, one] of Object.entries(controls)) {
      if (one.type === "checkbox") one.checked = said.has(name);
      else if (one.type === "search") one.value = said.get(name) ?? "";
      else one.value = ([...one.options].find((choice) => choice.text === said.get(name)) ?? { value: "" }).value;
    }
    await apply();
    if (named) await show(named);
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
    article.scrollIntoView({ behavior: "instant" });
    article.focus({ preventScroll: true });
    remember();
    // What was estimated above it has its real height only now.
    requestAnimationFrame(() => current === article && article.scrollIntoView({ behavior: "instant" }));
  };

  // ---------------------------------------------------------------- controls and keys

  let typing = 0;
  const changed = () => {
    current = null;
    remember();
    apply();
  };
  for (const one of Object.values(controls)) {
    one.addEventListener(one.type === "search" ? "input" : "change", () => {
      clearTimeout(typing);
      typing = setTimeout(changed, one.type === "search" ? 150 : 0);
    });
  }
  document.getElementById("clear").addEventListener("click", () => {
    clear();
    changed();
    controls.search.focus();
  });
  document.getElementById("show-keys").addEventListener("click", () => keys.showModal());
  document.getElementById("close-keys").addEventListener("click", () => keys.close());
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('a[href^="#p"]');
    const article = link && articles.find((one) => `#${one.id}` === link.getAttribute("href"));
    if (!article || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(article);
  });

  const step = (by) => {
    const shown = articles.filter((article) => !article.hidden);
    if (!shown.length) return;
    const top = tools.getBoundingClientRect().bottom;
    let at = shown.indexOf(current);
    if (at < 0) {
      // Nothing was opened yet: the prompt that one looks at, or the first one below.
      at = shown.findIndex((article) => article.getBoundingClientRect().bottom > Math.max(top, 0) + 40);
      at = (at < 0 ? shown.length - 1 : at) - (by > 0 ? 1 : 0);
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
  window.addEventListener("hashchange", recall);

  // ---------------------------------------------------------------- begin

  const height = () => {
    const sticks = getComputedStyle(tools).position === "sticky";
    document.documentElement.style.setProperty("--tools", `${sticks ? tools.offsetHeight : 0}px`);
  };
  tools.hidden = false;
  if (!window.Highlight && controls.differences) {
    controls.differences.closest("label").remove();
    delete controls.differences;
  }
  if (window.DecompressionStream) document.documentElement.classList.add("unpacks");
  else chunks.clear();
  height();
  window.addEventListener("resize", height);
  for (const article of articles) watcher.observe(article);
  // The page's own refresh only goes to the place of a fragment, where the address has one.
  const refresh = document.querySelector('meta[http-equiv="refresh"]');
  if (refresh) setTimeout(() => location.reload(), 1000 * Number(refresh.content));
  recall();
})();
