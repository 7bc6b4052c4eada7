// reading: one text with its words coloured, and all that is known of its explanation.

/** The view. */
function viewText() {
  if (!count) return h("p", {}, "There are no texts.");
  const text = state.text - 1,
    list = listed(),
    place = list.indexOf(text);
  const series = shownBy(text, state.method, state.of);
  const of = every.filter((each) => each.method === series.method && each.at(text) >= 0);
  const ofMethods = [...new Set(every.filter((each) => each.at(text) >= 0).map((each) => each.method))];
  const go = (step) => () =>
    list[place + step] !== undefined && change({ text: list[place + step] + 1, unit: "" }, true);
  const level = state.level === "token" && series.tokenScores(text) ? "token" : "word";
  return [
    h(
      "div",
      { class: "controls" },
      h(
        "nav",
        { class: "pager", "aria-label": "Texts" },
        h("button", { type: "button", disabled: place < 1, onclick: go(-1), "aria-keyshortcuts": "k" }, "‹ Before"),
        h(
          "span",
          {},
          place < 0 ? "not among the texts listed" : `${whole(place + 1)} of ${several(list.length, "text")} listed`,
        ),
        h(
          "button",
          { type: "button", disabled: place < 0 || place + 1 >= list.length, onclick: go(1), "aria-keyshortcuts": "j" },
          "Next ›",
        ),
      ),
      of.length > 1 &&
        choice(
          "Relevance for",
          of.map((each) => [each.target, visible(each.target)]),
          series.target,
          (target) => change({ of: target }),
        ),
      ofMethods.length > 1 &&
        select(
          "Method",
          ofMethods.map((each) => [each, visible(methods[each])]),
          series.method,
          (method) => change({ method: Number(method) }),
        ),
      series.tokenScores(text) &&
        choice(
          "Show",
          [
            ["word", "words"],
            ["token", "word pieces"],
          ],
          level,
          (to) => change({ level: to }),
        ),
    ),
    h(
      "article",
      {},
      h("h2", {}, "Text ", value(texts.id[text])),
      h("p", {}, outcome(text)),
      facts(text, series),
      reading(text, series, level),
      warningsOf(text, series),
      strongestOf(text, series, level),
      ledgerOf(text, series),
      readoutsOf(text, series),
      allScores(text, series, level),
    ),
  ];
}

/** What else is known of a text. */
function facts(text, series) {
  const place = series.at(text),
    rows = [
      ["relevance for", value(series.target)],
      ["its value", score(series.packed.value[place] ?? NaN)],
      ["explained", score(series.packed.explained[place] ?? NaN)],
      ["method", value(methods[series.method])],
      ...(texts.file ? [["file", value(texts.file[text])]] : []),
      ...keptNames.map((name) => [value(name), value(texts.kept[name][text])]),
      ...Object.entries(series.packed.diagnostics[place] || {}).map(([name, number]) => [value(name), value(number)]),
    ];
  return h(
    "dl",
    {},
    rows.map(([name, fact]) => h("div", {}, h("dt", {}, name), h("dd", {}, fact))),
  );
}

/** The text, whose words tell more when they are pointed at, focused or tapped. */
function reading(text, series, level) {
  const scores = level === "token" ? series.tokenScores(text) : series.scores(text),
    total = size(series.scores(text));
  const largest_ = Math.max(0, ...Array.from(scores, Math.abs).filter(Number.isFinite));
  const buttons = [],
    detail = h(
      "p",
      { class: "detail", role: "status" },
      "Point at a word, tap it, or move to it by Tab and the arrow keys, for its score.",
    );
  const units = unitsOf(text, level);
  const tell = (place) => {
    const unit = units[place];
    buttons.forEach((button, number) => {
      button.tabIndex = number === place ? 0 : -1;
    });
    detail.replaceChildren(
      value(unit.name),
      ` ${sentence(scores[place], total, largest_, series)}`,
      ...pieces(text, series, level, place, largest_),
    );
  };
  const make = (unit, place, name, style) => {
    const button = h(
      "span",
      {
        ...style,
        role: "button",
        tabIndex: place ? -1 : 0,
        dir: unit.special ? "ltr" : null,
        "aria-label": `${name}: ${score(scores[place], largest_)}`,
        onmouseenter: () => tell(place),
        onfocus: () => tell(place),
        onclick: () => tell(place),
      },
      name,
    );
    buttons[place] = button;
    return button;
  };
  const step = (event) => {
    const moves = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    const here = buttons.indexOf(document.activeElement);
    if (!(event.key in moves) || here < 0) return;
    const sign =
      getComputedStyle(buttons[here].parentElement).direction === "rtl" && Number.isFinite(moves[event.key]) ? -1 : 1;
    const to = Math.max(0, Math.min(buttons.length - 1, here + sign * moves[event.key]));
    event.preventDefault();
    buttons[to].focus();
  };
  return h(
    "div",
    { onkeydown: step },
    h(
      "div",
      { class: "reading", role: "group", "aria-label": "The text; arrow keys go from word to word" },
      coloured(text, series, level, make),
    ),
    detail,
  );
}

/** What a score above 0 means, and one below. */
function sidesOf(series) {
  const target = visible(series.target);
  return series.packed.isScore
    ? ["more relevant", "less relevant"]
    : [`speaks for ${target}`, `speaks against ${target}`];
}

/** A score in words. */
function sentence(number, total, largest_, series) {
  const part = total ? `, ${share(number / total)} of the text's Σ|relevance|` : "";
  const what = !Number.isFinite(number)
    ? ""
    : number > 0
      ? `: ${sidesOf(series)[0]}`
      : number < 0
        ? `: ${sidesOf(series)[1]}`
        : "";
  return `${score(number, largest_)}${part}${what}`;
}

/** The word pieces of a word, with their scores. */
function pieces(text, series, level, place, largest_) {
  const scores = level === "word" && tokenUnits && series.tokenScores(text);
  const own = scores
    ? unitsOf(text, "token")
        .map((unit, token) => [unit, scores[token]])
        .filter(([unit]) => unit.word === place)
    : [];
  return own.length < 2
    ? []
    : [
        ". Its pieces: ",
        ...own.flatMap(([unit, number], each) => [each ? ", " : "", value(unit.name), ` ${score(number, largest_)}`]),
      ];
}

/** Warnings in words. */
function warningsOf(text, series) {
  const { names, of } = series.packed.warnings;
  const found = [...(of[series.at(text)] || []).map((number) => names[number])];
  return found.length
    ? h(
        "ul",
        { class: "warnings", "aria-label": "Warnings" },
        found.map((warning) => h("li", {}, value(warning))),
      )
    : null;
}

/** The strongest words for and against, as bars. */
function strongestOf(text, series, level) {
  const scores = level === "token" ? series.tokenScores(text) : series.scores(text),
    units = unitsOf(text, level),
    strength = strengths(scores);
  const order = units
    .map((_, place) => place)
    .filter((place) => Math.abs(strength[place]) > 0.02)
    .sort((a, b) => Math.abs(strength[b]) - Math.abs(strength[a]));
  const side = (title, sign) => {
    const mine = order.filter((place) => sign * strength[place] > 0).slice(0, 8);
    return mine.length
      ? h(
          "div",
          { class: "side" },
          h("h3", {}, title),
          mine.map((place) =>
            h(
              "div",
              { class: "row" },
              value(units[place].name, { class: "name" }),
              h("span", { class: "number" }, score(scores[place], Math.abs(scores[order[0]]))),
              h("span", {
                class: `bar ${sign > 0 ? "for" : "against"}`,
                style: { width: `${7 * Math.abs(strength[place])}em` },
              }),
            ),
          ),
        )
      : null;
  };
  return h(
    "div",
    { class: "sides" },
    side(sidesOf(series)[0], 1),
    side(sidesOf(series)[1], -1),
  );
}

/** Every score as text. */
function allScores(text, series, level) {
  const scores = level === "token" ? series.tokenScores(text) : series.scores(text),
    total = size(series.scores(text));
  return h(
    "details",
    {},
    h("summary", {}, "All scores in reading order"),
    h(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "All scores" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, level === "token" ? "Word piece" : "Word"),
            h("th", { scope: "col" }, "Score"),
            h("th", { scope: "col" }, "Share"),
          ),
        ),
        h(
          "tbody",
          {},
          unitsOf(text, level).map((unit, place) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, value(unit.name)),
              h("td", {}, score(scores[place])),
              h("td", {}, share(total ? scores[place] / total : 0)),
            ),
          ),
        ),
      ),
    ),
  );
}
