"""Part: some rows of a corpus -> their explanations, apart from all others. Used by parts.py and on_ray.py."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from autorel_jax.data.row import Rejected, Row
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.usable import usable
from autorel_jax.report.explanation import Explanation
from autorel_jax.text.tokens import Tokens


class Part(NamedTuple):
    """Rows of the input, numbered `number` * part_rows and on."""

    number: int
    rows: list[Row]
    tokens: list[Tokens]
    rejected: list[Rejected]


def prepared(explainer: Explainer, number: int, items: Sequence[Row | Rejected]) -> Part:
    """A part whose rows can all be explained."""
    checked = [item if isinstance(item, Rejected) else usable(item, explainer) for item in items]
    rows = [item for item in checked if isinstance(item, Row)]
    rejected = [item for item in checked if isinstance(item, Rejected)]
    return Part(number, rows, explainer.tokenize(rows), rejected)


def explained(explainer: Explainer, part: Part, progress: Callable[[int], object]) -> list[tuple[Row, Explanation]]:
    """The explanations of a part, each with its row; as many for one row as for another."""
    progress(len(part.rejected))
    if not part.rows:
        return []
    made = list(explainer.explain_chunk(part.rows, progress, part.tokens))
    targets_of_each = len(made) // len(part.rows)
    return [(part.rows[place // targets_of_each], explanation) for place, explanation in enumerate(made)]


def record_of(part: Part) -> dict[str, Any]:
    """What the summary needs to know of a part."""
    return {"rows": len(part.rows), "rejected": [item.record for item in part.rejected]}
