"""HTML: Explanations -> coloured text, as a fragment for notebooks (fragment.html).

No script, nothing from the network, every text escaped. Used by explanation.py (`_repr_html_`); pages are in page/.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autorel_jax.report import colour, view

if TYPE_CHECKING:
    from autorel_jax.report.explanation import Explanation

SHOWN = 100  # explanations in a notebook's cell; more would fill it for screens
# How one explanation is laid out: in every element, since notebooks may drop <style>. Colours come from the score; text
# has the colour of the page around it.
STYLES = {
    "entry": "max-width:60em;padding:1.2em 0",
    "head": "margin:0;font-size:1.1em;font-weight:600;line-height:1.5",
    "id": "margin-right:.6em;font-weight:400;opacity:.7",
    "facts": "margin:0;font-size:.85em;line-height:1.6",
    "fact": "margin-right:1.4em",
    "quiet": "opacity:.7",
    "text": "margin:.6em 0;font-size:1.1em;line-height:1.8;white-space:pre-wrap;overflow-wrap:anywhere",
    "unit": "padding:.15em 0;border-radius:.2em",
    "special": "padding:.15em .2em;border-radius:.2em;font-size:.75em;opacity:.75",
    "warning": "margin:.6em 0;padding-left:.6em;border-left:.2em solid;font-size:.85em",
    "sides": "display:flex;flex-wrap:wrap;gap:.8em 3em;font-size:.85em;line-height:1.6",
    "side": "flex:0 1 22em;min-width:0",
    "row": "display:grid;grid-template-columns:minmax(0,1fr) 6em 7em;gap:.8em;align-items:center",
    "word": "text-align:left;overflow:hidden;text-overflow:ellipsis;white-space:nowrap",
    "score": "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums",
    "bar": "display:block;height:.55em;border-radius:.15em",
    "scores": "margin-top:.6em;font-size:.85em;line-height:1.8",
    "item": "display:grid;grid-template-columns:6em 5em minmax(0,1fr);gap:.8em",
    "each": "margin-right:1.2em;white-space:nowrap",
    "chip": "display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:.15em",
}


def fragment(explanations: Sequence[Explanation], level: str = view.WORD) -> str:
    """Explanations as one piece of HTML for a notebook's cell; the first SHOWN of them.

    Args:
      explanations: of any texts and targets.
      level: "word" or "token".
    """
    view.check_level(level)
    entries = [entry(explanation, level) for explanation in explanations[:SHOWN]]
    named = {view.sides(one) for one in explanations} or {view.LABEL_SIDES}
    sides = map(spoken, named.pop() if len(named) == 1 else view.LABEL_SIDES)
    return str(parts().fragment(entries, len(explanations) - len(entries), in_element, solid, list(sides)))


def entry(explanation: Explanation, level: str) -> Markup:
    """One explanation."""
    units = view.units(explanation, level)
    strength = dict(zip(units, colour.strengths(unit.score for unit in units), strict=True))
    number = view.number_format(units)
    shown = {
        "id": view.visible(str(explanation.id)),
        "decision": view.decision(explanation),
        "facts": view.facts(explanation),
        "warnings": [view.visible(warning) for warning in explanation.warnings],
        "passages": view.passages(explanation, units),
        "units": units,
        "sides": zip(map(spoken, view.sides(explanation)), view.strongest(units), strict=True),
        "ledger": view.ledger(explanation),
        "conclusion": "" if explanation.ledger is None else explanation.ledger.conclusion,
    }
    return parts().entry(
        shown,
        in_element,
        fill=lambda unit: colour.css(strength[unit]),
        bar=lambda unit: f"width:{abs(strength[unit]):.0%};{solid(strength[unit])}",
        score=lambda unit: number(unit.score),
    )


def spoken(side: str) -> str:
    """The name of a side as the head of a list."""
    return side if side.endswith("relevant") else f"speaks {side}"


@functools.lru_cache(maxsize=1024)
def in_element(name: str, more: str = "") -> Markup:
    """The attributes of an element."""
    return Markup('style="{}"').format(";".join(filter(None, (STYLES[name], more))))


def solid(strength: float) -> str:
    """The background of a bar."""
    return "background:rgb({},{},{})".format(*(colour.FOR if strength > 0 else colour.AGAINST))


@functools.cache
def parts() -> Any:
    """The macros of fragment.html, compiled once."""
    environment = Environment(
        loader=PackageLoader("autorel_jax", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = view.visible
    return environment.get_template("fragment.html").module
