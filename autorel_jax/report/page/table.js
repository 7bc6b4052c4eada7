// table: the rows of a table of words: filtered, sorted, a page of them; and how their numbers are drawn.

const ROWS = 100; // of a table that are rendered at a time

/** In how many texts a word must be to be listed; by default few where there are few texts. */
function least() {
  const among = state.kind === "wrong" ? wrongTexts() : count;
  return state.least || data.constants.listed.find(([below]) => among < below)[1];
}

const wrongTexts = once(
  () => Array.from({ length: count }, (_, text) => isRight(text)).filter((is) => is === false).length,
);

function column(name, title, number, cell, about, css = "") {
  return { name, title, number, cell, about, css };
}

/** The rows that pass the filters, sorted, a page of them. */
function shown(made, texts, usual, filter) {
  const by =
    made.find((each) => each.name === state.sort) ||
    (state.sort === "word" ? null : made.find((each) => each.name === usual));
  const find = state.find.toLowerCase(),
    keys = [],
    bound = least();
  for (let key = 0; key < texts.length; key++) {
    if (texts[key] >= bound && (!find || nameOf(key, state.n).join(" ").includes(find))) keys.push(key);
  }
  const sign = state.up ? 1 : -1;
  if (by) {
    const of = Float64Array.from(texts, (_, key) => by.number(key));
    const last = (key) => (Number.isNaN(of[key]) ? 1 : 0);
    keys.sort((a, b) => last(a) - last(b) || sign * (of[a] - of[b]) || texts[b] - texts[a] || a - b);
  } else {
    const of = new Map(keys.map((key) => [key, nameOf(key, state.n).join(" ")]));
    keys.sort((a, b) => -sign * (of.get(a) < of.get(b) ? -1 : 1));
  }
  const pages = Math.ceil(keys.length / ROWS),
    page = Math.min(Math.max(0, state.wpage), Math.max(0, pages - 1));
  const word = {
    name: "word",
    title: state.n === 1 ? "Word" : "Words",
    css: "",
    about: "upper and lower case, and punctuation around it, make no difference",
  };
  const head = [word, ...made].map((each) => {
    const sorted = each === word ? !by : each === by;
    const flip = () => change({ sort: each.name, up: sorted ? !state.up : false, wpage: 0 });
    return h(
      "th",
      { scope: "col", class: each.css, "aria-sort": sorted ? (state.up ? "ascending" : "descending") : null },
      h(
        "button",
        { type: "button", title: each.about, onclick: flip },
        each.title,
        h("span", { "aria-hidden": "true" }, sorted ? (state.up ? " ▲" : " ▼") : ""),
      ),
    );
  });
  const rows = keys.slice(page * ROWS, (page + 1) * ROWS).map((key) => {
    const name = nameOf(key, state.n);
    const open = () => change({ ...NO_FILTER, ...filter, view: "texts", word: name, tpage: 0 }, true);
    return h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        h("button", { type: "button", class: "word", onclick: open, title: "show its texts" }, value(name.join(" "))),
      ),
      made.map((each) => h("td", { class: each.css }, each.cell(key))),
    );
  });
  return [
    h("p", { class: "count", role: "status" }, several(keys.length, state.n === 1 ? "word" : `${state.n}-gram`)),
    h(
      "div",
      { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Words" },
      h("table", {}, h("caption", {}, "Words over all texts"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
    ),
    pager(page, pages, (wpage) => change({ wpage })),
  ];
}

/** How far a drawing of intervals reaches: all that are listed fit. */
function largest(texts, mean, half) {
  let end = 0;
  const bound = least();
  texts.forEach((number, key) => {
    if (number >= bound) end = Math.max(end, Math.abs(mean[key]) + half[key] || 0);
  });
  return Math.min(end, 1) || 1;
}

/** What a mean is at least if the table begins with the largest, at most if it begins with the smallest. */
function leastEnd(mean, half) {
  return state.up ? mean + half : mean - half;
}

/** A mean and its interval, drawn around 0 and as text for those who do not see it. */
function interval(mean, half, scale) {
  if (!Number.isFinite(mean)) return "–";
  const at = (number) => 70 + 66 * Math.max(-1, Math.min(1, number / scale));
  const text = Number.isFinite(half) ? `${share(mean - half)} to ${share(mean + half)}` : "not known";
  const drawing = svg(
    "svg",
    {
      viewBox: "0 0 140 16",
      width: 140,
      height: 16,
      role: "img",
      "aria-label": text,
      class: mean < 0 ? "negative" : "positive",
    },
    svg("line", { x1: 70, x2: 70, y1: 1, y2: 15, class: "zero" }),
  );
  if (Number.isFinite(half))
    drawing.append(svg("line", { x1: at(mean - half), x2: at(mean + half), y1: 8, y2: 8, class: "range" }));
  drawing.append(
    mean < 0
      ? svg("rect", { x: at(mean) - 3.5, y: 4.5, width: 7, height: 7 })
      : svg("circle", { cx: at(mean), cy: 8, r: 4 }),
  );
  return h("span", { class: "interval", title: text }, drawing);
}

/** A number with its sign; what is rounded to 0 has none. */
function signed(number, digits = 2) {
  if (!Number.isFinite(number)) return "–";
  const text = Math.abs(number).toFixed(digits);
  return `${Number(text) === 0 ? "" : number < 0 ? "\u2212" : "+"}${text}`;
}

/** A share without sign. */
function bare(number) {
  return Number.isFinite(number) ? `${(100 * number).toFixed(1)} %` : "–";
}
