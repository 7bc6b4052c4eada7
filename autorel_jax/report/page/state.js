// state: what the user chose. It lives in the URL's fragment, so that a view can be kept and sent.

// All texts, from the first page on.
const NO_FILTER = {
  q: "",
  regex: false,
  prediction: "",
  label: "",
  outcome: "",
  low: "",
  high: "",
  column: "",
  is: "",
  word: [],
  tpage: 0,
};

// `least` 0 stands for as many as suit the number of texts; `of` "" for the label that each text was predicted as.
const DEFAULTS = {
  view: "words",
  target: targets[0],
  of: "",
  method: 0,
  level: data.tokens ? data.level : "word",
  n: 1,
  kind: "all",
  find: "",
  least: 0,
  sort: "",
  up: false,
  wpage: 0,
  ...NO_FILTER,
  order: labelled ? "error" : "input",
  text: 1,
  unit: "",
  a: -1,
  b: -1,
  change: "words",
};
const state = { ...DEFAULTS };
const selected = new Set(); // places of texts, for export; not in the fragment

/** The state as a fragment; what is as by default is left out. */
function fragment() {
  const parts = new URLSearchParams();
  for (const [name, fallback] of Object.entries(DEFAULTS)) {
    if (Array.isArray(fallback)) for (const one of state[name]) parts.append(name, one);
    else if (state[name] !== fallback) parts.set(name, String(state[name]));
  }
  return `#${parts}`;
}

/** Reads the state from the fragment; what cannot be is as by default. */
function read() {
  const parts = new URLSearchParams(location.hash.slice(1));
  for (const [name, fallback] of Object.entries(DEFAULTS)) {
    const given = parts.get(name);
    if (Array.isArray(fallback)) state[name] = parts.getAll(name);
    else if (given === null) state[name] = fallback;
    else if (typeof fallback === "number")
      state[name] = Number.isFinite(Number(given)) ? Math.floor(Number(given)) : fallback;
    else state[name] = typeof fallback === "boolean" ? given === "true" : given;
  }
  if (!Object.hasOwn(VIEWS, state.view)) state.view = DEFAULTS.view;
  if (!ORDERS.some(([order]) => order === state.order)) state.order = DEFAULTS.order;
  if (!targets.includes(state.target)) state.target = DEFAULTS.target;
  if (!targets.includes(state.of)) state.of = "";
  if (!data.about.methods[state.method]) state.method = 0;
  if (![1, 2, 3].includes(state.n)) state.n = 1;
  if (!["word", ...(data.tokens ? ["token"] : [])].includes(state.level)) state.level = "word";
  if (!data.pulls[state.method]) state.kind = "all";
  state.text = Math.min(Math.max(1, state.text), Math.max(1, count));
}

/** Changes the state and shows it; a new view or text is a step that the browser's back button takes back. */
function change(changes, step = false) {
  Object.assign(state, changes);
  history[step ? "pushState" : "replaceState"](null, "", fragment());
  render();
}
