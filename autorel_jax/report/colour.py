"""Colour: a score -> how strongly, and in which colour, it is shown. The one scale of terminal.py and html.py.

Warm speaks for the target, blue against it, as in the figures of the LRP and SHAP literature. The pair is Okabe and
Ito's vermilion and blue, which people with any colour vision tell apart.
"""

import math
from collections.abc import Iterable

RGB = tuple[int, int, int]

FOR: RGB = (213, 94, 0)
AGAINST: RGB = (0, 114, 178)
OPAQUE = 0.6  # alpha at strength 1: text keeps a contrast of 4.5 on a light and on a dark page (tests/test_report.py)
# A terminal's background is not known: text colours that can be read on black and on white, and fills under white.
TEXT = {True: (205, 92, 0), False: (0, 124, 190)}  # keys: whether the score is positive
FILL = {True: (190, 76, 0), False: (0, 102, 170)}
FAINT, MEDIUM, STRONG = 0.1, 1 / 3, 2 / 3  # strengths from which a terminal shows colour, bold colour, a fill


def strengths(scores: Iterable[float]) -> list[float]:
    """Scores -> [-1, 1], relative to the largest |score|; 0 for what is not finite, and where all are 0.

    Never relative to the sum: scores cancel, and a sum near 0 would colour everything.
    """
    scores = [score if math.isfinite(score) else 0.0 for score in map(float, scores)]
    largest = max(map(abs, scores), default=0.0)
    return [score / largest if largest else 0.0 for score in scores]


def css(strength: float) -> str:
    """A translucent background, which goes with the text colour of a light and of a dark page; "" for none."""
    alpha = round(OPAQUE * abs(strength), 2)
    red, green, blue = FOR if strength > 0 else AGAINST
    return f"background:rgba({red},{green},{blue},{alpha:g})" if alpha else ""


def terminal(strength: float) -> str:
    """The style in rich's notation; "" for a strength that is not shown."""
    if abs(strength) < FAINT:
        return ""
    if abs(strength) >= STRONG:
        return f"bold #ffffff on {name(FILL[strength > 0])}"
    return f"{'bold ' if abs(strength) >= MEDIUM else ''}{hue(strength)}"


def hue(strength: float) -> str:
    """The colour of a bar on a terminal, in rich's notation."""
    return name(TEXT[strength > 0])


def name(colour: RGB) -> str:
    """#rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
