// words: the table of words or n-grams over all texts. A click on one shows the texts that hold it.

/** The view. */
function viewWords() {
  const pulling = state.kind === "wrong";
  return [controlsOfWords(pulling), explanationOfWords(pulling), pulling ? pullTable() : wordTable()];
}

function controlsOfWords(pulling) {
  const reset = (changes) => change({ ...changes, wpage: 0 });
  return h(
    "div",
    { class: "controls" },
    data.pulls[state.method] &&
      choice(
        "Show",
        [
          ["all", "all texts"],
          ["wrong", "pulls wrong predictions"],
        ],
        state.kind,
        (kind) => reset({ kind, sort: "", up: false }),
      ),
    lengthChoice(reset),
    !pulling && targetChoice("target"),
    methodChoice(),
    wordFilters(reset),
    h("span", {}, "texts"),
  );
}

/** The switch of what is counted. */
function lengthChoice(reset) {
  return choice(
    "Count",
    [
      [1, "words"],
      [2, "2-grams"],
      [3, "3-grams"],
    ],
    state.n,
    (n) => reset({ n }),
  );
}

/** Which words a table lists. */
function wordFilters(reset) {
  return [
    input("Find", "search", state.find, (find) => reset({ find }), { id: "search", placeholder: "part of a word" }),
    input(
      "In at least",
      "number",
      least(),
      (number) => reset({ least: Math.max(0, Math.floor(Number(number)) || 0) }),
      { min: 1, class: "narrow" },
    ),
  ];
}

/** A switch of what is explained, where there are several targets; `more` are further options. */
function targetChoice(name, more = []) {
  if (targets.length < 2) return null;
  const options = [...more, ...targets.map((target) => [target, visible(target)])];
  return (targets.length < 6 ? choice : select)("Relevance for", options, state[name], (target) =>
    change({ [name]: target }),
  );
}

/** The switch of the method, where there are several. */
function methodChoice() {
  if (methods.length < 2) return null;
  return select(
    "Method",
    methods.map((name, place) => [place, visible(name)]),
    state.method,
    (method) => change({ method: Number(method), kind: data.pulls[method] ? state.kind : "all" }),
  );
}

function explanationOfWords(pulling) {
  const target = visible(state.target);
  const [above, below] = seriesOf(state.method, state.target)?.packed.isScore
    ? ["makes its text more relevant", "less relevant"]
    : ["speaks for it", "against it"];
  return h(
    "p",
    { class: "hint" },
    pulling
      ? "Relevance for the label that each text was predicted as: what a word does where that label is wrong, and where " +
          "it is right. At the top are the words that speak most for wrong predictions; the last column compares."
      : `Relevance for ${target}. Above 0 a word ${above}, below 0 ${below}: ▼ lists the former first, ▲ the latter, ` +
          "by what the interval leaves at least, so that a word of few texts does not come first by chance.",
  );
}

/** The table of a target. */
function wordTable() {
  const series = seriesOf(state.method, state.target);
  if (!series) return h("p", {}, "This method did not explain this target.");
  const table = tableOf(series, state.n);
  const others =
    targets.length < 5 ? targets.filter((target) => target !== state.target && seriesOf(state.method, target)) : [];
  const scale = largest(table.texts, table.mean, table.half);
  const made = [
    column(
      "texts",
      "Texts",
      (key) => table.texts[key],
      (key) => whole(table.texts[key]),
      "how many texts hold it",
    ),
    column(
      "mean",
      "Mean share",
      (key) => table.mean[key],
      (key) => share(table.mean[key]),
      "of its text's Σ|relevance|, over the texts that hold it",
    ),
    column(
      "sure",
      "95 % interval",
      (key) => leastEnd(table.mean[key], table.half[key]),
      (key) => interval(table.mean[key], table.half[key], scale),
      "of the mean; sorted by its lower end downwards, by its upper end upwards",
    ),
    column(
      "total",
      "Total",
      (key) => table.mean[key] * table.texts[key],
      (key) => signed(table.mean[key] * table.texts[key]),
      "mean share times texts: 1 is all of one text's relevance",
      "wide",
    ),
    column(
      "spread",
      "Spread",
      (key) => table.spread[key],
      (key) => bare(table.spread[key]),
      "standard deviation of its shares",
      "wide",
    ),
    column(
      "top",
      "In top 3",
      (key) => table.strongest[key] / table.texts[key],
      (key) => percent(table.strongest[key] / table.texts[key]),
      "of its texts, in which it is among the three strongest",
      "wide",
    ),
    ...others.map((target) => {
      const other = tableOf(seriesOf(state.method, target), state.n);
      return column(
        `mean ${target}`,
        `Mean for ${visible(target)}`,
        (key) => other.mean[key],
        (key) => share(other.mean[key]),
        "mean share of the relevance for that target",
        "wide",
      );
    }),
  ];
  if (table.all) {
    const [all, ofLabel] = table.all;
    made.push(
      column(
        "data",
        `Labelled ${visible(state.target)}`,
        (key) => table.association[key],
        (key) =>
          table.labelled[key]
            ? `${percent(table.ofLabel[key] / table.labelled[key])} (${signed(table.association[key], 1)})`
            : "–",
        `of its labelled texts; of all texts ${percent(ofLabel / all)}. In brackets the log odds ratio, by which it is sorted: above 0, word and label go together`,
      ),
    );
  }
  return shown(made, table.texts, "sure", {});
}

/** The table of words in wrong predictions. */
function pullTable() {
  const { wrong, right, difference, half } = pullOf(state.method, state.n);
  const scale = largest(wrong.texts, wrong.mean, wrong.half);
  return shown(
    [
      column(
        "texts",
        "Wrong texts",
        (key) => wrong.texts[key],
        (key) => whole(wrong.texts[key]),
        "wrongly predicted texts that hold it",
      ),
      column(
        "mean",
        "Mean in wrong",
        (key) => wrong.mean[key],
        (key) => share(wrong.mean[key]),
        "mean share for the predicted label there",
      ),
      column(
        "sure",
        "95 % interval",
        (key) => leastEnd(wrong.mean[key], wrong.half[key]),
        (key) => interval(wrong.mean[key], wrong.half[key], scale),
        "of the mean in wrong; sorted by its lower end downwards, by its upper end upwards",
      ),
      column(
        "total",
        "Total in wrong",
        (key) => wrong.mean[key] * wrong.texts[key],
        (key) => signed(wrong.mean[key] * wrong.texts[key]),
        "mean share times texts: 1 is all of one text's relevance",
        "wide",
      ),
      column(
        "right",
        "Right texts",
        (key) => right.texts[key],
        (key) => whole(right.texts[key]),
        "rightly predicted texts that hold it",
        "wide",
      ),
      column(
        "meanright",
        "Mean in right",
        (key) => right.mean[key],
        (key) => share(right.mean[key]),
        "mean share for the predicted label there",
        "wide",
      ),
      column(
        "difference",
        "Wrong minus right",
        (key) => leastEnd(difference[key], half[key]),
        (key) => `${share(difference[key])} ± ${bare(half[key])}`,
        "difference of the means with half of its 95 % interval, by whose end it is sorted; a word of no right text has 0 there",
      ),
    ],
    wrong.texts,
    "sure",
    { outcome: "wrong" },
  );
}
