// main: the page around the views, its keys, and the first rendering.
//
// data.js reads what pack.py wrote; dom.js makes elements; state.js is what the user chose. The views are words.js
// (its rows are in table.js), texts.js (filters.js), reading.js (coloured.js, inside.js) and compare.js; ngrams.js
// counts, export.js writes files.

const VIEWS = {
  words: ["Words", viewWords],
  texts: ["Texts", viewTexts],
  text: ["One text", viewText],
  ...(comparable ? { compare: ["Compare", viewCompare] } : {}),
  about: ["How to read this", viewAbout],
};
const KEYS = { w: "words", t: "texts", o: "text", ...(comparable ? { c: "compare" } : {}), h: "about" };

const content = h("main", { tabIndex: -1 });
const tabs = h("nav", { class: "tabs", "aria-label": "Views" });

/** Shows the state: the tabs, and the chosen view. What had the focus has it again. */
function render() {
  const focused = document.activeElement,
    label = focused && content.contains(focused) ? path(focused) : null;
  const cursor = label && focused.type !== "number" && "selectionStart" in focused ? focused.selectionStart : null;
  tabs.replaceChildren(
    ...Object.entries(VIEWS).map(([name, [title]]) => {
      const link = h(
        "a",
        {
          href: "#",
          "aria-current": name === state.view ? "page" : null,
          onclick: (event) => {
            event.preventDefault();
            change({ view: name }, true);
          },
        },
        title,
      );
      return link;
    }),
  );
  content.replaceChildren(...[VIEWS[state.view][1]()].flat(Infinity).filter(Boolean));
  content.dataset.view = state.view;
  const again = label && find(label);
  if (again) {
    again.focus({ preventScroll: true });
    if (cursor !== null && again.setSelectionRange) again.setSelectionRange(cursor, cursor);
  }
}

/** Where an element is in the content: the places of its ancestors among their siblings, and its tag. */
function path(element) {
  const steps = [];
  for (let here = element; here !== content; here = here.parentElement)
    steps.unshift([here.tagName, [...here.parentElement.children].indexOf(here)]);
  return steps;
}

function find(steps) {
  let here = content;
  for (const [tag, place] of steps) {
    here = here.children[place];
    if (!here || here.tagName !== tag) return null;
  }
  return here;
}

/** What the page says at its head. */
function headOf() {
  const { model, methods: all } = data.about;
  const several_ = new Set(Array.from(every, (series) => series.target)).size > 1;
  const many =
    several_ &&
    Array.from({ length: count }, (_, text) => text).every(
      (text) => every.filter((series) => series.method === 0 && series.at(text) >= 0).length < 2,
    );
  const scored = every.length > 0 && every.every((series) => series.packed.isScore);
  const right = labelled ? Array.from({ length: count }, (_, text) => isRight(text)).filter((is) => is !== null) : [];
  const accuracy = right.length
    ? `, ${percent(right.filter(Boolean).length / right.length)} of ${whole(right.length)} labelled ones predicted rightly`
    : "";
  return h(
    "header",
    {},
    h("h1", {}, "Which words decided"),
    h(
      "p",
      { class: "quiet" },
      several(count, "text"),
      accuracy,
      "; model ",
      value(model || "not named"),
      "; method ",
      value(
        all
          .filter((each) => each.model === undefined)
          .map((each) => each.name)
          .join(", "),
      ),
      data.other ? ["; compared with ", value(data.other.model || "other results")] : null,
    ),
    many &&
      predictions.length > 1 &&
      h(
        "p",
        { class: "note" },
        "Only one label of each text was explained, so the words for a label come from the texts that it was explained for alone. To see every word for every label, explain again with --target all.",
      ),
    data.notes.map((note) => h("p", { class: "note" }, value(note))),
    h(
      "p",
      { class: "legend" },
      h("span", { class: "unit for", style: look(1).style }, " word "),
      scored ? "\u2002more relevant;\u2002" : "\u2002speaks for;\u2002",
      h("span", { class: "unit against", style: look(-1).style }, " word "),
      scored ? "\u2002less relevant." : "\u2002speaks against what is explained.",
      " The stronger the colour, the nearer to the largest score of its text.",
    ),
  );
}

/** How to read it, in words. */
function viewAbout() {
  const { model, weights, version, methods: all } = data.about;
  const line = (name, ...text) => h("div", {}, h("dt", {}, name), h("dd", {}, text));
  return [
    h("h2", {}, "How to read this"),
    h(
      "dl",
      { class: "long" },
      line(
        "Score",
        "How much a word speaks for the explained label (above 0) or against it (below 0), in units of that label's logit, unless a warning says otherwise. Of a reranker, how much more or less relevant a word makes its text.",
      ),
      line(
        "Share",
        "A score divided by Σ|relevance| of its text: the sum of all scores without their signs, special tokens included. So texts of different lengths compare, and every text counts alike.",
      ),
      line(
        "Mean share",
        "Of a word, over the texts that hold it. If it is in a text twice, its shares there are added.",
      ),
      line(
        "Interval",
        `95 % of Student's t, for the mean over texts. To the spread of a word's own shares that of a usual word is added with the weight of ${data.constants.prior} texts, so a word of two texts that happen to agree is not certain.`,
      ),
      line(
        "Sorted",
        "By an end of the interval: downwards by the lower one, which says how strong a word is at least, upwards by the upper one. Words in few texts are left out; “In at least” changes that.",
      ),
      line(
        "In top 3",
        "In how many of its texts the word is among the three strongest, whatever the sign; special tokens are not counted.",
      ),
      line(
        "Labelled …",
        "How many of its labelled texts have this label, whatever the classifier says; in brackets the log odds ratio against the texts without it. A word that is strong for a label but does not go with it in the data is one to look at.",
      ),
      line(
        "Pulls wrong predictions",
        "The mean share for the label that was predicted, in texts where that is wrong, beside that in texts where it is right. A word that does much for wrong predictions and little for right ones misleads the classifier.",
      ),
      line(
        "Word",
        "Upper and lower case, and punctuation around a word, make no difference in the table. 2-grams and 3-grams are words one after the other; their shares are added.",
      ),
      line(
        "Warnings",
        "A text says so where it was cut off, where the scores add up to much more or less than the value, and where more than half of Σ|relevance| is on one word, on punctuation or on special tokens.",
      ),
    ),
    h("h2", {}, "Where it comes from"),
    h(
      "dl",
      { class: "long" },
      line("Model", value(model)),
      line("Weights", "SHA-256 ", value(weights)),
      all.map((each) =>
        line(
          "Method",
          each.model === undefined ? null : [value(each.model), ": "],
          value(each.name),
          " ",
          value(JSON.stringify(each.parameters)),
        ),
      ),
      line("Made with", "autorel-jax ", value(version)),
    ),
    h("h2", {}, "Keys"),
    h(
      "dl",
      { class: "long" },
      line(
        Object.keys(KEYS).join(", "),
        Object.values(KEYS)
          .map((name) => VIEWS[name][0].toLowerCase())
          .join(", "),
      ),
      line("/", "to the search field"),
      line("j, k", "the next text, the one before"),
      line("[ and ]", "the page before, the next page"),
      line("← →", "from word to word, inside a text"),
      line("Esc", "out of a field"),
    ),
  ];
}

/** The keys of the page; none while the user types, or with Ctrl, Alt or Meta. */
function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing) {
    if (event.key === "Escape") content.focus();
    return;
  }
  const list = listed(),
    place = list.indexOf(state.text - 1);
  const steps = { j: 1, k: -1 },
    pages = { "[": -1, "]": 1 };
  if (event.key in KEYS) change({ view: KEYS[event.key] }, true);
  else if (event.key === "/") {
    if (!(state.view === "words" || state.view === "texts")) change({ view: "texts" }, true);
    document.getElementById("search").focus();
  } else if (event.key in steps && list.length) {
    const to = place < 0 ? 0 : Math.max(0, Math.min(list.length - 1, place + steps[event.key]));
    change({ text: list[to] + 1, tpage: Math.floor(to / SHOWN), unit: "" });
    content.querySelector(".current")?.scrollIntoView({ block: "nearest" });
  } else if (event.key in pages) {
    content.querySelector(`.pager button[aria-keyshortcuts="${event.key}"]:not(:disabled)`)?.click();
  } else return;
  event.preventDefault();
}

document.body.append(headOf(), tabs, content);
document.addEventListener("keydown", onKey);
addEventListener("hashchange", () => {
  read();
  render();
});
addEventListener("popstate", () => {
  read();
  render();
});
read();
render();
