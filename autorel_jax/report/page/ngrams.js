// ngrams: statistics of n-grams, counted when they are asked for. The formulas are those of evaluation/words.py, which
// says what they mean; a test compares the two. The words themselves come counted.

const { strongest: STRONGEST, prior: PRIOR, z: Z, added: ADDED } = data.constants;

/** The n-grams that begin at each word: their number or -1, and the keys of each. */
const runs = [1, 2, 3].map((n) =>
  once(() => {
    const { keys, owners, offsets } = wordUnits;
    const begins = new Int32Array(keys.length).fill(-1),
      known = new Map(),
      parts = [];
    for (let text = 0; text < count; text++) {
      for (let place = offsets[text]; place + n <= offsets[text + 1]; place++) {
        let name = "",
          whole = owners[place] === owners[place + n - 1];
        for (let step = 0; step < n && whole; step++) {
          whole = keys[place + step] > 0;
          name += `${keys[place + step]} `;
        }
        if (!whole) continue;
        if (!known.has(name)) {
          known.set(name, parts.length);
          parts.push(Array.from({ length: n }, (_, step) => keys[place + step] - 1));
        }
        begins[place] = known.get(name);
      }
    }
    return { begins, parts };
  }),
);

/** One entry for each text of a series and each n-gram in it. */
function occurrences(series, n) {
  const { begins } = runs[n - 1](),
    made = { text: [], key: [], share: [], strongest: [] };
  for (const text of array(series.packed.rows)) {
    const scores = series.scores(text),
      total = size(scores),
      begin = wordUnits.offsets[text];
    if (Number.isNaN(total)) continue;
    const sums = new Map();
    for (let place = 0; place + n <= scores.length; place++) {
      const key = begins[begin + place];
      if (key < 0) continue;
      let sum = 0;
      for (let step = 0; step < n; step++) sum += total ? scores[place + step] / total : 0;
      sums.set(key, (sums.get(key) || 0) + sum);
    }
    const sizes = [...sums.values()].map(Math.abs).sort((a, b) => b - a);
    const least = sizes[Math.min(STRONGEST, sizes.length) - 1];
    for (const [key, sum] of sums) {
      made.text.push(text);
      made.key.push(key);
      made.share.push(sum);
      made.strongest.push(Math.abs(sum) >= least && sum !== 0);
    }
  }
  return made;
}

/** Statistics of each n-gram over the texts of which `among` is true. */
function summary(found, size, among = () => true) {
  const texts = new Uint32Array(size),
    mean = new Float64Array(size),
    squares = new Float64Array(size);
  const top = new Uint32Array(size),
    chosen = [];
  found.key.forEach((key, place) => {
    if (!among(found.text[place])) return;
    chosen.push(place);
    texts[key]++;
    mean[key] += found.share[place];
    if (found.strongest[place]) top[key]++;
  });
  for (let key = 0; key < size; key++) mean[key] /= texts[key];
  for (const place of chosen) squares[found.key[place]] += (found.share[place] - mean[found.key[place]]) ** 2;
  let all = 0,
    free = 0;
  for (let key = 0; key < size; key++) {
    all += squares[key];
    free += Math.max(texts[key] - 1, 0);
  }
  const usual = free ? all / free : NaN;
  const spread = mean.map((_, key) => (texts[key] > 1 ? Math.sqrt(squares[key] / (texts[key] - 1)) : NaN));
  const half = mean.map((_, key) => {
    const freedom = texts[key] - 1 + PRIOR;
    return texts[key] ? student(freedom) * Math.sqrt((squares[key] + PRIOR * usual) / freedom / texts[key]) : NaN;
  });
  return { texts, mean, spread, half, strongest: top };
}

/** 97.5 % of Student's t. */
function student(v) {
  const z = Z;
  return (
    z +
    (z ** 3 + z) / 4 / v +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 / v ** 2 +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 / v ** 3 +
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160 / v ** 4
  );
}

/** What the words are counted as: their names, and for a series or a method their statistics. */
const counted = new Map();

/** The table of a series, of words or n-grams. */
function tableOf(series, n) {
  const name = `${n} ${series.number}`;
  if (!counted.has(name)) counted.set(name, n === 1 ? columns(data.tables[series.number]) : countTable(series, n));
  return counted.get(name);
}

function countTable(series, n) {
  const found = occurrences(series, n),
    size = runs[n - 1]().parts.length,
    made = summary(found, size);
  if (!data.tables[series.number].all) return made;
  const [texts_, ofLabel_] = data.tables[series.number].all;
  const labelled = new Uint32Array(size),
    ofLabel = new Uint32Array(size);
  found.key.forEach((key, place) => {
    const label = labelOf(found.text[place]);
    labelled[key] += label !== null;
    ofLabel[key] += label === series.target;
  });
  const log = (yes, all) => Math.log((yes + ADDED) / (all - yes + ADDED));
  const association = Float64Array.from(
    labelled,
    (all, key) => log(ofLabel[key], all) - log(ofLabel_ - ofLabel[key], texts_ - all),
  );
  return { ...made, labelled, ofLabel, association, all: [texts_, ofLabel_] };
}

/** What words or n-grams do for the predicted label where it is wrong, and where it is right. */
function pullOf(method, n) {
  const name = `${n} pull ${method}`;
  if (!counted.has(name)) {
    if (n === 1) {
      const packed = data.pulls[method];
      counted.set(name, {
        ...columns({ difference: packed.difference, half: packed.half }),
        wrong: columns(packed.wrong),
        right: columns(packed.right),
      });
    } else counted.set(name, countPull(method, n));
  }
  return counted.get(name);
}

function countPull(method, n) {
  const found = { text: [], key: [], share: [], strongest: [] };
  for (const series of every.filter((each) => each.method === method)) {
    const each = occurrences(series, n);
    each.text.forEach((text, place) => {
      if (predictionOf(text) !== series.target) return;
      for (const field of Object.keys(found)) found[field].push(each[field][place]);
    });
  }
  const size = runs[n - 1]().parts.length;
  const [wrong, right] = [false, true].map((is) => summary(found, size, (text) => isRight(text) === is));
  const difference = wrong.mean.map((mean, key) => mean - (right.texts[key] ? right.mean[key] : 0));
  const half = wrong.half.map((own, key) => Math.sqrt(own ** 2 + (right.texts[key] ? right.half[key] : 0) ** 2));
  return { wrong, right, difference, half };
}

/** The n-gram's words. */
function nameOf(key, n) {
  return n === 1 ? [data.keys[key]] : runs[n - 1]().parts[key].map((part) => data.keys[part]);
}

/** The texts that hold words one after the other: an array of 0 and 1. */
function textsWith(words) {
  const { keys, owners, offsets } = wordUnits;
  const wanted = words.map((word) => data.keys.indexOf(word) + 1),
    found = new Uint8Array(count);
  if (wanted.includes(0)) return found;
  for (let text = 0; text < count; text++) {
    for (let place = offsets[text]; place + wanted.length <= offsets[text + 1] && !found[text]; place++) {
      if (owners[place] !== owners[place + wanted.length - 1]) continue;
      found[text] = Number(wanted.every((key, step) => keys[place + step] === key));
    }
  }
  return found;
}
