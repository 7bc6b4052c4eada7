// compare: two series of the same texts, of two models, methods or targets: the words whose role changed most, and the
// texts. The formulas are those of evaluation/compare.py; a test compares the two.

const comparable = every.length > 1;

/** The two series that are compared: those chosen, else the first and what goes with it in another method or target. */
function compared() {
  const first = every[state.a] || every[0];
  const others = every.filter((series) => series !== first);
  const same = (series) => series.target === first.target;
  const second = every[state.b] && every[state.b] !== first ? every[state.b] : others.findLast(same) || others[0];
  return [first, second];
}

function seriesName(series) {
  return visible(`${methods[series.method]}, ${series.target}`);
}

/** The prediction that a series is of: another model has its own. */
function predictedBy(series, text) {
  return data.about.methods[series.method].model === undefined ? predictionOf(text) : otherPrediction(text);
}

const otherPrediction = data.other && named(data.other.prediction);

/** The texts of which the other model's prediction is known, whatever was explained there. */
const predictedByBoth = once(() => [...Array(count).keys()].filter((text) => otherPrediction(text) !== null));

/** What words do in both, over the texts that both have. */
function wordChanges(first, second, n) {
  const name = `${n} ${first.number} ${second.number}`;
  if (!counted.has(name)) {
    const size_ = runs[n - 1]().parts.length,
      both = (text) => first.at(text) >= 0 && second.at(text) >= 0;
    const [one, two] = [first, second].map((series) => occurrences(series, n));
    const there = new Map(one.text.map((text, place) => [`${text} ${one.key[place]}`, place]));
    const difference = { text: [], key: [], share: [], strongest: [] },
      known = new Set();
    two.text.forEach((text, place) => {
      const before = there.get(`${text} ${two.key[place]}`);
      if (before === undefined) return;
      known.add(text);
      for (const field of ["text", "key", "strongest"]) difference[field].push(two[field][place]);
      difference.share.push(two.share[place] - one.share[before]);
    });
    const among = (text) => both(text) && known.has(text);
    counted.set(name, {
      first: summary(one, size_, among),
      second: summary(two, size_, among),
      difference: summary(difference, size_),
    });
  }
  return counted.get(name);
}

/** How much of a text's relevance moved to another word or changed its sign: half of Σ|difference of the shares|. */
function moved(text, first, second) {
  const [one, two] = [first, second].map((series) => series.scores(text)),
    [all, other] = [size(one), size(two)];
  let sum = 0;
  one.forEach((score_, place) => {
    sum += Math.abs((other ? two[place] / other : 0) - (all ? score_ / all : 0));
  });
  return sum / 2;
}

/** The view. */
function viewCompare() {
  const [first, second] = compared(),
    options = every.map((series) => [series.number, seriesName(series)]);
  const both = [...Array(count).keys()].filter((text) => first.at(text) >= 0 && second.at(text) >= 0);
  const reset = (changes) => change({ ...changes, wpage: 0, tpage: 0 });
  const models = data.about.methods[first.method].model !== data.about.methods[second.method].model;
  const predicted = models ? predictedByBoth() : [];
  const flipped = predicted.filter((text) => predictionOf(text) !== otherPrediction(text));
  return [
    h(
      "div",
      { class: "controls" },
      select("A", options, first.number, (a) => reset({ a: Number(a) })),
      select("B", options, second.number, (b) => reset({ b: Number(b) })),
      choice(
        "Show",
        [
          ["words", "words"],
          ["texts", "texts"],
        ],
        state.change,
        (to) => reset({ change: to }),
      ),
      state.change === "words" && [lengthChoice(reset), wordFilters(reset)],
    ),
    h(
      "p",
      { class: "hint" },
      `${several(both.length, "text")} in A and B. `,
      models
        ? `Of all ${several(predicted.length, "text")} that both results have, both models predict the same in ${percent(1 - flipped.length / predicted.length)}. `
        : "",
      data.other && data.other.split
        ? `${several(data.other.split, "text")} split into other words, or with another number of special tokens, in the other results: of these, predictions alone are compared. `
        : "",
      data.other && data.other.more ? `${several(data.other.more, "text")} are only in the other results.` : "",
    ),
    state.change === "texts" ? textChanges(first, second, both, flipped) : changeTable(first, second),
  ];
}

/** The words whose role changed most. */
function changeTable(first, second) {
  const found = wordChanges(first, second, state.n),
    { difference } = found;
  const scale = largest(difference.texts, difference.mean, difference.half);
  return [
    h(
      "p",
      { class: "hint" },
      "Mean shares in A and B. The difference is taken within each text, so what varies from text to text does not blur it. Sorted by how large it is at least.",
    ),
    shown(
      [
        column(
          "texts",
          "Texts",
          (key) => difference.texts[key],
          (key) => whole(difference.texts[key]),
          "texts of both that hold it",
        ),
        column(
          "mean",
          "Mean in A",
          (key) => found.first.mean[key],
          (key) => share(found.first.mean[key]),
          "mean share in A",
        ),
        column(
          "meanb",
          "Mean in B",
          (key) => found.second.mean[key],
          (key) => share(found.second.mean[key]),
          "mean share in B",
        ),
        column(
          "difference",
          "B minus A",
          (key) => difference.mean[key],
          (key) => share(difference.mean[key]),
          "mean of the differences within a text",
        ),
        column(
          "sure",
          "95 % interval",
          (key) => Math.abs(difference.mean[key]) - difference.half[key],
          (key) => interval(difference.mean[key], difference.half[key], scale),
          "of the difference; sorted by its end nearest to 0",
        ),
      ],
      difference.texts,
      "sure",
      {},
    ),
  ];
}

/** The texts of both: first all that are predicted otherwise, then those whose relevance moved most. */
function textChanges(first, second, both, flipped) {
  const flips = new Set(flipped),
    far = new Map(both.map((text) => [text, moved(text, first, second)]));
  const list = [...new Set([...both, ...flipped])].sort(
    (a, b) => flips.has(b) - flips.has(a) || (far.get(b) || 0) - (far.get(a) || 0) || a - b,
  );
  const pages = Math.ceil(list.length / SHOWN),
    page = Math.min(Math.max(0, state.tpage), Math.max(0, pages - 1));
  const one = (text, series, name) =>
    h(
      "div",
      {},
      h("p", { class: "quiet" }, `${name}: ${seriesName(series)}; predicted `, value(predictedBy(series, text))),
      series.at(text) < 0
        ? h("p", { class: "quiet" }, "no scores here: explained for another label, or split into other words or special tokens")
        : coloured(text, series, "word", plainUnit),
    );
  return [
    h(
      "p",
      { class: "hint" },
      "“Moved” is how much of a text's relevance is on another word in B, or has another sign: half of the sum of all differences of shares.",
    ),
    h(
      "ol",
      { class: "texts" },
      list.slice(page * SHOWN, (page + 1) * SHOWN).map((text) =>
        h(
          "li",
          {},
          h(
            "div",
            { class: "head" },
            h(
              "button",
              {
                type: "button",
                class: "open",
                onclick: () => change({ view: "text", text: text + 1, method: first.method, of: first.target }, true),
              },
              "Text ",
              value(texts.id[text]),
            ),
            flips.has(text)
              ? h("strong", {}, value(predictedBy(first, text)), " → ", value(predictedBy(second, text)))
              : null,
            labelOf(text) === null ? null : h("span", {}, "labelled ", value(labelOf(text))),
            far.has(text) ? h("span", {}, `moved ${percent(far.get(text)) || "–"}`) : null,
          ),
          h("div", { class: "pairing" }, one(text, first, "A"), one(text, second, "B")),
        ),
      ),
    ),
    pager(page, pages, (tpage) => change({ tpage })),
  ];
}
