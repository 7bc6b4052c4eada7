"""Results: what an Explanation and a list of them can become: tables, records of other libraries, plots.

The base of both classes in explanation.py. The work is done in exchange.py and plot.py.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from autorel_jax.report import exchange
from autorel_jax.report.view import WORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pandas
    import polars
    import shap
    from matplotlib.axes import Axes

    from autorel_jax.report.explanation import Explanation


class Results:
    """One explanation or several."""

    @property
    def each(self) -> Sequence[Explanation]:
        """All explanations in order."""
        return self if isinstance(self, list) else [self]

    def to_pandas(self, level: str = WORD) -> pandas.DataFrame:
        """A pandas DataFrame with a row for each word (or, with level "token", word piece), columns as in `.csv`.

        Raises:
          InputError: the level is unknown, or pandas is not installed (`autorel-jax[frames]`).
        """
        return exchange.to_pandas(self.each, level)

    def to_polars(self, level: str = WORD) -> polars.DataFrame:
        """A polars DataFrame, as `to_pandas`."""
        return exchange.to_polars(self.each, level)

    def to_shap(self, level: str = WORD) -> shap.Explanation:
        """A shap.Explanation for `shap.plots.text`, `bar` and others.

        Of one explanation `values` is [W], the scores in units of the target's value; `base_values` is what they leave
        of it, so that both add up to it. `data` are the pieces of the text. Of a list there is a row for each
        explanation, and `.mean(0)` is over the texts that have a word.

        Raises:
          InputError: the level is unknown, or SHAP is not installed (`autorel-jax[shap]`).
        """
        return exchange.all_to_shap(self, level) if isinstance(self, list) else exchange.to_shap(self, level)

    def to_spans(self, level: str = WORD) -> list[Any]:
        """The words that speak clearly for or against the target, as spans of the text; of a list, a list for each.

        A span is a dict of `start` and `end` (characters), `label` ("for positive"), `score` (0 to 1, of the text's
        strongest) and `relevance`.
        """
        spans = [exchange.to_spans(one, level) for one in self.each]
        return spans if isinstance(self, list) else spans[0]

    def to_argilla(self, level: str = WORD) -> Any:
        """A record as Argilla's `dataset.records.log` takes it; of a list, a list of them.

        The spans are suggestions for a span question that is called "relevance".
        """
        records = [exchange.to_argilla(one, level) for one in self.each]
        return records if isinstance(self, list) else records[0]

    def plot(
        self, kind: str = "words", *, top: int = 10, level: str = WORD, ax: Axes | None = None
    ) -> Axes | np.ndarray:
        """A plot by matplotlib.

        Args:
          kind: "words", bars of the strongest words, of several explanations as mean shares with intervals of 95 %;
            or of one explanation with these read-outs "layers" or "attention", a heat map of layers × tokens, or
            "heads", one of layers × heads, summed over tokens.
          top: how many words.
          level: "word" or "token", of "words".
          ax: where to draw; None makes a figure.

        Returns:
          The axes; an array of them for explanations of several targets, which get a panel each.

        Raises:
          InputError: the kind or level is unknown, the read-out is not there, or matplotlib is not installed
            (`autorel-jax[plot]`).
        """
        # It uses evaluation/, which stands on explanation.py: it is found by its name, when it is asked.
        return importlib.import_module("autorel_jax.report.plot").plot(self.each, kind, top, level, ax)
