// inside: the ledger of a text as one bar, and its read-outs as heat maps.

/** Where the target's value went. */
function ledgerOf(text, series) {
  const ledger = series.packed.ledgers[series.at(text)];
  if (!ledger) return null;
  const sum = (values) => values.reduce((all, each) => all + (each ?? 0), 0);
  const items = [
    ["words", ledger.words],
    ["special tokens", ledger.special_tokens],
    ["position embeddings", ledger.positions],
    ["segment embeddings", ledger.segments],
    ["the target's function", ledger.function],
    ...Object.entries(ledger.absorbed).map(([name, values]) => [data.constants.ledger[name] ?? name, sum(values)]),
  ]
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))
    .filter(([, amount], _, [[, most]]) => Math.abs(amount) > data.constants.negligible * Math.abs(most));
  const total = sum(items.map(([, amount]) => Math.abs(amount))) || 1;
  const bar = items.map(([name, amount]) =>
    h("span", {
      class: amount > 0 ? "for" : "against",
      title: `${name} ${score(amount)}`,
      style: { flexGrow: String(Math.abs(amount) / total) },
    }),
  );
  return h(
    "section",
    { class: "ledger" },
    h("h3", {}, "Where the value went"),
    h("p", {}, ledger.conclusion),
    h("div", { class: "stack", "aria-hidden": "true" }, bar),
    h(
      "ul",
      {},
      items.map(([name, amount]) =>
        h(
          "li",
          {},
          `${name} `,
          h("span", { class: "number" }, score(amount)),
          ledger.value ? ` (${Math.round((100 * amount) / ledger.value)} %)`.replace("-", "\u2212") : "",
        ),
      ),
    ),
  );
}

/** Relevance inside the model: layers and heads by word piece. */
function readoutsOf(text, series) {
  const found = series.packed.readouts[series.at(text)];
  if (!found) return null;
  const names = tokenUnits ? unitsOf(text, "token").map((unit) => visible(unit.name)) : [];
  const maps = [];
  for (const [name, title] of [
    ["layers", "Layers: the residual stream"],
    ["attention", "After attention"],
  ]) {
    if (found[name])
      maps.push(
        heatMap(title, found[name].shape, array(found[name]), names, (row) =>
          name === "layers" ? (row ? `layer ${row}` : "embeddings") : `layer ${row + 1}`,
        ),
      );
  }
  if (found.heads) maps.push(headsMap(found.heads));
  return h("section", {}, h("h3", {}, "Inside the model"), maps);
}

/** Rows by word pieces, coloured relative to the largest number of the map. */
function heatMap(title, [rows, width], numbers, names, nameOfRow) {
  const strength = strengths(numbers);
  const cell = (row, place) => {
    const number = numbers[row * width + place],
      own = strength[row * width + place];
    return h(
      "td",
      { ...look(own), title: `${nameOfRow(row)}, ${names[place] ?? place}: ${score(number)}` },
      h("span", { class: "cell" }, own > 0.1 ? "+" : own < -0.1 ? "\u2212" : ""),
      h("span", { class: "hidden" }, score(number)),
    );
  };
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "region", "aria-label": title },
    h(
      "table",
      { class: "map" },
      h("caption", { class: "seen" }, title),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("td", {}),
          Array.from({ length: width }, (_, place) =>
            h("th", { scope: "col" }, h("bdi", {}, names[place] ?? String(place))),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        Array.from({ length: rows }, (_, row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, nameOfRow(row)),
            Array.from({ length: width }, (_, place) => cell(row, place)),
          ),
        ),
      ),
    ),
  );
}

/** Layers by heads: the sum over word pieces of what each head gives. */
function headsMap(heads) {
  const [layers, width, tokens] = heads.shape,
    numbers = array(heads),
    sums = new Float64Array(layers * width);
  numbers.forEach((number, place) => {
    sums[Math.floor(place / tokens)] += number;
  });
  return heatMap(
    "Heads: Σ over word pieces",
    [layers, width],
    sums,
    Array.from({ length: width }, (_, head) => `${head + 1}`),
    (row) => `layer ${row + 1}`,
  );
}
