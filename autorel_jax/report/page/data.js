// data: the JSON in the page -> typed arrays, and what they say of a text. The way back from pack.py.

const data = JSON.parse(document.getElementById("data").textContent);
const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };

/** A function that computes its value once. */
function once(make) {
  let made = false,
    value;
  return () => {
    if (!made) [value, made] = [make(), true];
    return value;
  };
}

/** A typed array from base64. */
function array(packed) {
  const text = atob(packed.data);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return new TYPES[packed.type](bytes.buffer);
}

/** The same for every packed array in an object of columns, each when it is first read. */
function columns(packed) {
  const made = {};
  for (const [name, value] of Object.entries(packed)) {
    const get = value && value.type && value.data !== undefined ? once(() => array(value)) : () => value;
    Object.defineProperty(made, name, { get, enumerable: true });
  }
  return made;
}

/** A column of names: place -> string or null. */
function named(column) {
  const of = once(() => array(column.of));
  return (place) => {
    const number = of()[place];
    return number ? column.names[number - 1] : null;
  };
}

const texts = columns(data.texts);
const count = texts.id.length;
const predictionOf = named(data.texts.prediction),
  labelOf = named(data.texts.label);
const probabilityOf = (text) => texts.probability[text] ?? NaN;
const labelled = data.texts.label.names.length > 0;
const keptNames = Object.keys(texts.kept);
const wordUnits = columns(data.words),
  tokenUnits = data.tokens && columns(data.tokens);
const pieceOf = data.tokens && named(data.tokens.pieces);
const targets = [...new Set(data.series.map((series) => series.target))];
const methods = data.about.methods.map((method, place) => methodName(place));

/** A method's name, with its parameters where another has the same name, and the model if it is the compared one. */
function methodName(place) {
  const { name, parameters, model } = data.about.methods[place];
  const same = data.about.methods.filter((method) => method.name === name && method.model === model);
  return (
    (model === undefined ? "" : `${model || "other"}: `) +
    (same.length < 2 ? name : `${name} ${JSON.stringify(parameters)}`)
  );
}

/** What each series says of each text; `at` gives the place of a text's explanation in it, or -1. */
const every = data.series.map((packed, number) => {
  const series = columns(packed);
  const index = once(() => {
    const found = new Int32Array(count).fill(-1);
    series.rows.forEach((row, place) => {
      found[row] = place;
    });
    return found;
  });
  const begins = (units) =>
    once(() => {
      const found = new Uint32Array(series.rows.length + 1);
      series.rows.forEach((row, place) => {
        found[place + 1] = found[place] + units.offsets[row + 1] - units.offsets[row];
      });
      return found;
    });
  const ofWords = begins(wordUnits),
    ofTokens = tokenUnits && begins(tokenUnits);
  const cut = (all, begin, place) => all.subarray(begin[place], begin[place + 1]);
  return {
    number,
    packed,
    method: packed.method,
    target: packed.target,
    at: (text) => index()[text],
    scores: (text) => (index()[text] < 0 ? null : cut(series.scores, ofWords(), index()[text])),
    tokenScores: (text) =>
      index()[text] < 0 || !series.tokenScores ? null : cut(series.tokenScores, ofTokens(), index()[text]),
  };
});

/** The series of a method and a target; undefined where there is none. */
function seriesOf(method, target) {
  return every.find((series) => series.method === method && series.target === target);
}

/** The series that a text is shown by: that of the target, else (or for "") of its prediction, else any that it has. */
function shownBy(text, method, target) {
  const has = (series) => series && series.at(text) >= 0;
  const wished = [seriesOf(method, target), seriesOf(method, predictionOf(text))];
  return wished.find(has) || every.find((series) => series.method === method && has(series)) || every.find(has);
}

/** Σ|score|; NaN if one is not finite. */
function size(scores) {
  let sum = 0;
  for (const score of scores) sum += Math.abs(score);
  return Number.isFinite(sum) ? sum : NaN;
}

/** A text's words or word pieces in reading order: {name, start, end, segment, special, word}. */
function unitsOf(text, level) {
  const units = level === "token" ? tokenUnits : wordUnits;
  const [begin, end] = [units.offsets[text], units.offsets[text + 1]];
  const first = wordUnits.offsets[text];
  const made = [];
  for (let place = begin; place < end; place++) {
    const [start, stop] = [units.starts[place], units.ends[place]];
    const word = level === "token" ? units.owners[place] : place - begin;
    const segment = level === "token" ? wordUnits.owners[first + word] : units.owners[place];
    const own = passage(text, segment);
    const name = level === "token" ? pieceOf(place) : (data.words.odd[place] ?? own.slice(start, stop));
    made.push({ name, start, end: stop, segment, special: stop < start, word });
  }
  return made;
}

/** The text, or its pair; null where it has none. */
function passage(text, segment) {
  const column = segment ? texts.pair : texts.text;
  return column && column[text];
}

/** Whether a text was predicted rightly; null without a label. */
function isRight(text) {
  const label = labelOf(text);
  return label === null ? null : label === predictionOf(text);
}
