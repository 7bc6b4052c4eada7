// coloured: a text with its words in colour, as the list and the view of one text show it.

/** A text with its words coloured: a paragraph for the text, and one for its pair. */
function coloured(text, series, level, make) {
  const scores = level === "token" ? series.tokenScores(text) : series.scores(text);
  const units = unitsOf(text, level),
    strength = strengths(scores);
  return [0, 1]
    .filter((segment) => passage(text, segment) !== null)
    .map((segment) => {
      const paragraph = h("p", { class: "text", dir: "auto", lang: "" });
      const own = passage(text, segment),
        mine = units.map((unit, place) => [unit, place]).filter(([unit]) => unit.segment === segment);
      const placed = mine.filter(([unit]) => !unit.special);
      const last = placed.length ? placed[placed.length - 1][1] : -1;
      let position = 0;
      for (const [unit, place] of mine) {
        if (unit.special) {
          if (place > last) rest();
          if (place > last) paragraph.append(" ");
          paragraph.append(
            make(unit, place, visible(unit.name), { class: "special", style: look(strength[place]).style }),
          );
          if (place < last) paragraph.append(" ");
          continue;
        }
        const skipped = own.slice(position, unit.start);
        if (position === 0 && skipped.trim() && texts.truncated[text]) paragraph.append("… ");
        else if (skipped) paragraph.append(visible(skipped, true));
        // Two word pieces may share a character: the second shows its own name.
        const name = own.slice(Math.max(unit.start, position), unit.end) || unit.name.replace(/^##/, "");
        paragraph.append(make(unit, place, visible(name), look(strength[place])));
        position = Math.max(position, unit.end);
      }
      rest();
      return paragraph;

      function rest() {
        const left = own.slice(position).trimEnd();
        position = own.length;
        if (left) paragraph.append(texts.truncated[text] ? " …" : visible(left, true));
      }
    });
}

/** Coloured words that are only looked at. */
function plainUnit(unit, place, name, style) {
  return unit.special ? h("bdi", style, name) : h("span", style, name);
}

/** What a text was predicted as, and whether that is right. */
function outcome(text) {
  const right = isRight(text),
    probability = probabilityOf(text);
  return h(
    "span",
    { class: "outcome" },
    h("strong", {}, value(predictionOf(text))),
    " ",
    percent(probability),
    right === null
      ? null
      : h(
          "span",
          { class: right ? "right" : "wrong" },
          right ? " ✓ right" : [" ✗ wrong: labelled ", value(labelOf(text))],
        ),
  );
}
