// dom: elements, and how texts and numbers are written. Text reaches the page as text nodes only, never as markup.

/** An element; `options` are properties, attributes with a dash, `class`, `style` and listeners "onclick". */
function h(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "style") Object.assign(made.style, value);
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "for" || name === "role" || name === "scope")
      made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** An element of a drawing. */
function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const REPLACED = "\uFFFD";
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu;

/** Text whose control characters can be seen, as view.py writes it; `layout` keeps line ends and makes tabs spaces. */
function visible(text, layout = false) {
  return String(text).replace(HIDDEN, (character) => {
    const code = character.codePointAt(0);
    if (layout && character === "\n") return "\n";
    if (layout && (character === "\t" || character === "\r")) return " ";
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : REPLACED;
  });
}

/** A value of the data, isolated so that its direction does not turn what is around it. */
function value(text, options = {}) {
  return h(
    "bdi",
    { lang: "", ...options },
    visible(typeof text === "object" && text ? JSON.stringify(text) : (text ?? "")),
  );
}

/** A score with its sign. */
function score(number, largest = Math.abs(number)) {
  if (!Number.isFinite(number)) return "not a number";
  if (number === 0) return "0";
  const sign = number < 0 ? "\u2212" : "+",
    amount = Math.abs(number);
  return sign + (largest >= 0.05 && largest < 1e4 ? amount.toFixed(3) : amount.toExponential(2));
}

/** A share of Σ|relevance| as signed per cent. */
function share(number) {
  if (!Number.isFinite(number)) return "–";
  const text = (100 * Math.abs(number)).toFixed(1);
  return `${text === "0.0" ? "" : number < 0 ? "\u2212" : "+"}${text} %`;
}

/** A probability as per cent; 100 % only where it is exactly 1. */
function percent(number) {
  if (!Number.isFinite(number)) return "";
  const text = (100 * number).toFixed(1);
  return text === "100.0" && number < 1 ? ">99.9 %" : `${text} %`;
}

/** A whole number with thin gaps. */
function whole(number) {
  return Math.round(number)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** `1 text`, `2 texts`. */
function several(number, noun) {
  return `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
}

const { warm, cool, opaque, faint } = data.constants.colour;

/** The look of a score of that strength, -1 to 1: colour, and a line under it that is broken where it is negative. */
function look(strength) {
  if (!strength) return { class: "unit" };
  const alpha = (opaque * Math.abs(strength)).toFixed(2);
  const sign = Math.abs(strength) < faint ? "" : strength > 0 ? " for" : " against";
  return { class: `unit${sign}`, style: { background: `rgba(${strength > 0 ? warm : cool},${alpha})` } };
}

/** Scores as strengths: relative to the largest of their text. */
function strengths(scores) {
  let largest = 0;
  for (const one of scores) if (Number.isFinite(one)) largest = Math.max(largest, Math.abs(one));
  return Array.from(scores, (one) => (Number.isFinite(one) && largest ? one / largest : 0));
}

/** A select of [value, name] pairs. */
function select(label, options, chosen, change) {
  const list = options.map(([option, name]) =>
    h("option", { value: option, selected: String(option) === String(chosen) }, name),
  );
  return h("label", {}, h("span", {}, label), h("select", { onchange: (event) => change(event.target.value) }, list));
}

/** An input; `change` is called while the user types. */
function input(label, type, content, change, more = {}) {
  const field = h("input", { type, ...more, oninput: (event) => change(event.target.value) });
  field.value = content;
  return h("label", {}, h("span", {}, label), field);
}

/** A switch between few values, as buttons of which one is pressed. */
function choice(label, options, chosen, change) {
  const buttons = options.map(([option, name]) =>
    h("button", { type: "button", "aria-pressed": String(option === chosen), onclick: () => change(option) }, name),
  );
  return h("div", { class: "choice", role: "group", "aria-label": label }, h("span", {}, label), buttons);
}

/** Page by page: a button back, where one is, a button on. */
function pager(page, pages, go) {
  if (pages < 2) return null;
  const button = (name, to, key) =>
    h(
      "button",
      { type: "button", disabled: to < 0 || to >= pages, onclick: () => go(to), "aria-keyshortcuts": key },
      name,
    );
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    button("‹ Before", page - 1, "["),
    h("span", {}, `page ${whole(page + 1)} of ${whole(pages)}`),
    button("Next ›", page + 1, "]"),
  );
}
