// export: chosen texts -> a file in the formats of other tools, made in the page.

const EXPORTS = {
  jsonl: ["JSON lines", "texts.jsonl", (list) => list.map((text) => `${JSON.stringify(record(text))}\n`).join("")],
  csv: ["CSV", "texts.csv", csvOf],
  labelstudio: ["Label Studio", "label_studio.json", (list) => JSON.stringify(list.map(labelStudio))],
  argilla: ["Argilla", "argilla.jsonl", (list) => list.map((text) => `${JSON.stringify(argilla(text))}\n`).join("")],
};

/** The buttons: for the texts that were chosen, or all that are listed. */
function exportControls(list) {
  const chosen = list.filter((text) => selected.has(text));
  const which = chosen.length ? chosen : list;
  return h(
    "div",
    { id: "exports", class: "controls" },
    h(
      "span",
      {},
      chosen.length
        ? `Export ${several(chosen.length, "chosen text")}:`
        : `Export all ${several(list.length, "text")} listed:`,
    ),
    Object.entries(EXPORTS).map(([kind, [name]]) =>
      h("button", { type: "button", disabled: !which.length, onclick: () => download(kind, which) }, name),
    ),
    h(
      "button",
      {
        type: "button",
        onclick: () => {
          list.forEach((text) => selected.add(text));
          render();
        },
      },
      "Choose all listed",
    ),
    selected.size
      ? h(
          "button",
          {
            type: "button",
            onclick: () => {
              selected.clear();
              render();
            },
          },
          `Choose none (${whole(selected.size)})`,
        )
      : null,
  );
}

/** Has the browser save a file. */
function download(kind, list) {
  const [, name, make] = EXPORTS[kind];
  const url = URL.createObjectURL(new Blob([make(list)], { type: "application/octet-stream" }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Scores as they are in the results; null where they are not finite. */
function plainScores(scores) {
  return Array.from(scores, (one) => (Number.isFinite(one) ? Number(Math.fround(one).toPrecision(9)) : null));
}

/** A text with its words, and for each method and target their scores. */
function record(text) {
  const units = unitsOf(text, "word");
  return {
    id: texts.id[text],
    ...(texts.file ? { file: texts.file[text] } : {}),
    text: texts.text[text],
    ...(texts.pair ? { text_pair: texts.pair[text] } : {}),
    prediction: predictionOf(text),
    probability: texts.probability[text],
    label: labelOf(text),
    words: units.map((unit) => unit.name),
    word_spans: units.map((unit) => (unit.special ? null : codePoints(text, unit))),
    word_segments: units.map((unit) => unit.segment),
    relevance: every
      .filter((series) => series.at(text) >= 0)
      .map((series) => ({
        method: methods[series.method],
        target: series.target,
        word_relevance: plainScores(series.scores(text)),
      })),
    columns: Object.fromEntries(keptNames.map((name) => [name, texts.kept[name][text]])),
  };
}

/** The span of a word in characters, as the results count them; the page counts UTF-16 units. */
function codePoints(text, unit) {
  const own = passage(text, unit.segment);
  return [unit.start, unit.end].map((place) => Array.from(own.slice(0, place)).length);
}

/** A row for each word of each text, method and target. */
function csvOf(list) {
  const head = [
    "id",
    "method",
    "target",
    "prediction",
    "probability",
    "label",
    "index",
    "segment",
    "word",
    "relevance",
    ...keptNames.map((name) => `column ${name}`),
  ];
  const lines = [head.map(csvCell).join(",")];
  for (const text of list) {
    const units = unitsOf(text, "word"),
      kept = keptNames.map((name) => cellText(name, text));
    for (const series of every.filter((each) => each.at(text) >= 0)) {
      plainScores(series.scores(text)).forEach((one, place) =>
        lines.push(
          [
            texts.id[text],
            methods[series.method],
            series.target,
            predictionOf(text),
            texts.probability[text],
            labelOf(text),
            place,
            units[place].segment,
            units[place].name,
            one,
            ...kept,
          ]
            .map(csvCell)
            .join(","),
        ),
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** A cell; text that a spreadsheet would run gets a ' in front, as in the .csv of the command. */
function csvCell(content) {
  if (content === null || content === undefined) return "";
  if (typeof content === "number") return String(content);
  const text = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(content) ? `'${content}` : content;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The words of a text that have a sign: their span and what they speak for. */
function signedSpans(text) {
  const series = shownBy(text, state.method, state.of),
    scores = series.scores(text),
    strength = strengths(scores);
  return unitsOf(text, "word")
    .map((unit, place) => ({ ...unit, score: scores[place], strength: strength[place], target: series.target }))
    .filter((unit) => !unit.special && unit.segment === 0 && Math.abs(unit.strength) >= faint);
}

/** A task of Label Studio whose prediction marks the words; offsets are UTF-16 units, as Label Studio counts. */
function labelStudio(text) {
  const spans = signedSpans(text);
  return {
    data: { text: texts.text[text], id: texts.id[text], prediction: predictionOf(text), label: labelOf(text) },
    predictions: [
      {
        model_version: data.about.model,
        result: spans.map((unit, place) => ({
          id: `word${place}`,
          from_name: "label",
          to_name: "text",
          type: "labels",
          value: {
            start: unit.start,
            end: unit.end,
            text: unit.name,
            labels: [unit.score > 0 ? `for ${unit.target}` : `against ${unit.target}`],
            score: Math.abs(unit.strength),
          },
        })),
      },
    ],
  };
}

/** A record of Argilla with a suggestion for a span question; offsets count characters, as Argilla's are Python's. */
function argilla(text) {
  return {
    id: String(texts.id[text]),
    fields: { text: texts.text[text] },
    metadata: { prediction: predictionOf(text), label: labelOf(text) },
    suggestions: [
      {
        question_name: "relevance",
        agent: data.about.model,
        value: signedSpans(text).map((unit) => {
          const [start, end] = codePoints(text, unit);
          return {
            start,
            end,
            label: unit.score > 0 ? `for ${unit.target}` : `against ${unit.target}`,
            score: Math.abs(unit.strength),
          };
        }),
      },
    ],
  };
}
