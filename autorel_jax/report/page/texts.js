// texts: the list of texts, filtered and ordered.

const SHOWN = 50; // texts that are rendered at a time

/** The view. */
function viewTexts() {
  const list = listed(),
    pages = Math.ceil(list.length / SHOWN),
    page = Math.min(Math.max(0, state.tpage), Math.max(0, pages - 1));
  const filtering = Object.keys(NO_FILTER).some(
    (name) => name !== "tpage" && String(state[name]) !== String(NO_FILTER[name]),
  );
  return [
    controlsOfTexts(),
    matrix(),
    h(
      "p",
      { class: "count", role: "status" },
      matcher() ? `${several(list.length, "text")} of ${whole(count)}` : "This is not a regular expression.",
      filtering && h("button", { type: "button", onclick: () => change(NO_FILTER) }, "Show all texts"),
    ),
    state.word.length
      ? h(
          "p",
          {},
          h(
            "button",
            {
              type: "button",
              class: "chip",
              title: "remove this filter",
              onclick: () => change({ word: [], tpage: 0 }),
            },
            "holds ",
            value(state.word.join(" ")),
            " ✕",
          ),
        )
      : null,
    exportControls(list),
    h("ol", { class: "texts", start: page * SHOWN + 1 }, list.slice(page * SHOWN, (page + 1) * SHOWN).map(item)),
    pager(page, pages, (tpage) => change({ tpage })),
  ];
}

function controlsOfTexts() {
  const reset = (changes) => change({ ...changes, tpage: 0 });
  const any = (names) => [["", "any"], ...names.map((name) => [name, visible(name)])];
  return h(
    "div",
    { class: "controls" },
    input("Search", "search", state.q, (q) => reset({ q }), { id: "search", placeholder: "text or id" }),
    h(
      "label",
      { class: "check" },
      h("input", {
        type: "checkbox",
        checked: state.regex,
        onchange: (event) => reset({ regex: event.target.checked }),
      }),
      h("span", {}, "regular expression"),
    ),
    predictions.length > 1 &&
      select("Predicted", any(predictions), state.prediction, (prediction) => reset({ prediction })),
    labels.length > 0 && select("Labelled", any(labels), state.label, (label) => reset({ label })),
    labelled &&
      choice(
        "Prediction is",
        [
          ["", "any"],
          ["wrong", "wrong"],
          ["right", "right"],
        ],
        state.outcome,
        (outcome_) => reset({ outcome: outcome_ }),
      ),
    h(
      "span",
      { class: "pair" },
      input("Probability from", "number", state.low, (low) => reset({ low }), { min: 0, max: 100, class: "narrow" }),
      input("to", "number", state.high, (high) => reset({ high }), { min: 0, max: 100, class: "narrow" }),
      h("span", {}, "%"),
    ),
    keptNames.length > 0 &&
      select("Column", [["", "any"], ...keptNames.map((name) => [name, visible(name)])], state.column, (column_) =>
        reset({ column: column_, is: "" }),
      ),
    keptNames.includes(state.column) &&
      (valuesOf(state.column)
        ? select(
            "is",
            [
              ["", "any"],
              ...valuesOf(state.column)
                .filter(Boolean)
                .map((each) => [each, visible(each)]),
            ],
            state.is,
            (is) => reset({ is }),
          )
        : input("holds", "search", state.is, (is) => reset({ is }))),
    select("Order", ORDERS, state.order, (order) => reset({ order })),
    targetChoice("of", [["", "what was predicted"]]),
    methodChoice(),
  );
}

/** How many texts of each label were predicted as what; a click on a number shows them. */
function matrix() {
  if (!labelled || labels.length > 8 || predictions.length > 8) return null;
  const counts = new Map();
  for (let text = 0; text < count; text++) {
    const cell = JSON.stringify([labelOf(text), predictionOf(text)]);
    counts.set(cell, (counts.get(cell) || 0) + 1);
  }
  const cell = (label, prediction) => {
    const number = counts.get(JSON.stringify([label, prediction])) || 0,
      here = state.label === label && state.prediction === prediction;
    return h(
      "td",
      { class: label === prediction ? "right" : "wrong" },
      h(
        "button",
        {
          type: "button",
          disabled: !number,
          "aria-pressed": String(here),
          title: `labelled ${visible(label)}, predicted ${visible(prediction)}`,
          onclick: () => change(here ? NO_FILTER : { ...NO_FILTER, label, prediction }),
        },
        whole(number),
      ),
    );
  };
  return h(
    "details",
    {},
    h("summary", {}, "Labels against predictions"),
    h(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Labels against predictions" },
      h(
        "table",
        { class: "matrix" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "labelled"),
            predictions.map((name) => h("th", { scope: "col" }, "predicted ", value(name))),
          ),
        ),
        h(
          "tbody",
          {},
          labels.map((label) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, value(label)),
              predictions.map((prediction) => cell(label, prediction)),
            ),
          ),
        ),
      ),
    ),
  );
}

/** One text in the list. */
function item(text) {
  const series = shownBy(text, state.method, state.of);
  const pick = h("input", {
    type: "checkbox",
    checked: selected.has(text),
    "aria-label": `select text ${visible(texts.id[text])}`,
    onchange: (event) => {
      if (event.target.checked) selected.add(text);
      else selected.delete(text);
      document.getElementById("exports").replaceWith(exportControls(listed()));
    },
  });
  const open = h(
    "button",
    { type: "button", class: "open", onclick: () => change({ view: "text", text: text + 1, unit: "" }, true) },
    "Text ",
    value(texts.id[text]),
  );
  return h(
    "li",
    { class: state.text === text + 1 ? "current" : null },
    h(
      "div",
      { class: "head" },
      pick,
      open,
      outcome(text),
      h("span", { class: "quiet" }, "relevance for ", value(series.target)),
      keptNames
        .slice(0, 3)
        .map((name) => h("span", { class: "quiet" }, value(name), " ", value(texts.kept[name][text]))),
    ),
    coloured(text, series, "word", plainUnit),
  );
}
