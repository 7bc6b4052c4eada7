// filters: which texts are listed, and in which order.

const VALUES = 30; // different values of a column up to which they can be chosen from

const ORDERS = [
  ...(labelled ? [["error", "errors first, the surest first"]] : []),
  ["input", "as in the data"],
  ["high", "surest first"],
  ["low", "least sure first"],
  ["long", "longest first"],
  ["short", "shortest first"],
  ["one", "largest share of one word first"],
];

const predictions = [...new Set(Array.from({ length: count }, (_, text) => predictionOf(text)))];

const labels = [...new Set(Array.from({ length: count }, (_, text) => labelOf(text)))].filter(
  (label) => label !== null,
);

/** What a search is: a test of strings, or null where it is no regular expression. */
function matcher() {
  if (!state.q) return () => true;
  if (!state.regex) {
    const wanted = state.q.toLowerCase();
    return (text) => text.toLowerCase().includes(wanted);
  }
  try {
    const pattern = new RegExp(state.q, "iu");
    return (text) => pattern.test(text);
  } catch {
    return null;
  }
}

let remembered = { key: null, list: [] };

/** The places of the texts that pass the filters, in their order. */
function listed() {
  const names = [...Object.keys(NO_FILTER).filter((name) => name !== "tpage"), "order", "method", "of"];
  const key = JSON.stringify(names.map((name) => state[name]));
  if (remembered.key !== key) remembered = { key, list: ordered(filtered()) };
  return remembered.list;
}

function filtered() {
  const matches = matcher() || (() => false),
    holds = state.word.length ? textsWith(state.word) : null,
    found = [];
  const [low, high] = [state.low, state.high].map((bound) => (bound === "" ? NaN : Number(bound) / 100));
  for (let text = 0; text < count; text++) {
    const probability = probabilityOf(text),
      right = isRight(text);
    if (holds && !holds[text]) continue;
    if (state.prediction && predictionOf(text) !== state.prediction) continue;
    if (state.label && labelOf(text) !== state.label) continue;
    if (state.outcome && right !== (state.outcome === "right")) continue;
    if (low === low && !(probability >= low)) continue;
    if (high === high && !(probability <= high)) continue;
    if (state.is && keptNames.includes(state.column) && !isValue(text)) continue;
    if (
      !matches(texts.text[text]) &&
      !matches(passage(text, 1) ?? "") &&
      !(!state.regex && state.q === String(texts.id[text]))
    )
      continue;
    found.push(text);
  }
  return found;
}

/** A value of a column as text. */
function cellText(name, text) {
  const cell = texts.kept[name][text];
  return cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

function isValue(text) {
  const cell = cellText(state.column, text);
  return valuesOf(state.column) ? cell === state.is : cell.toLowerCase().includes(state.is.toLowerCase());
}

const valuesKnown = new Map();

/** The different values of a column; null where they are many. */
function valuesOf(name) {
  if (!valuesKnown.has(name)) {
    const found = new Set(texts.kept[name].map((_, text) => cellText(name, text)));
    valuesKnown.set(name, found.size > VALUES ? null : [...found].sort());
  }
  return valuesKnown.get(name);
}

function ordered(list) {
  const long = (text) => wordUnits.offsets[text + 1] - wordUnits.offsets[text];
  const sure = (text) => (Number.isFinite(probabilityOf(text)) ? probabilityOf(text) : -1);
  const error = (text) => ({ false: 2 + sure(text), true: -sure(text) })[isRight(text)] ?? -2;
  const by = { error, high: sure, low: (text) => -sure(text), long, short: (text) => -long(text), one: strongestShare }[
    state.order
  ];
  if (!by) return list;
  const of = new Map(list.map((text) => [text, by(text)]));
  return list.sort((a, b) => of.get(b) - of.get(a) || a - b);
}

/** The largest share that one word of the text has of its Σ|relevance|; special tokens are no words. */
function strongestShare(text) {
  const scores = shownBy(text, state.method, state.of).scores(text),
    total = size(scores),
    begin = wordUnits.offsets[text];
  let largest_ = 0;
  scores.forEach((one, place) => {
    if (wordUnits.keys[begin + place]) largest_ = Math.max(largest_, Math.abs(one));
  });
  return total ? largest_ / total : 0;
}
