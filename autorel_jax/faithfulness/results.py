"""Results: numbers of texts -> an Evaluation: means with intervals, differences between methods, as JSON and tables.

Used by run.py. N texts.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autorel_jax import __version__
from autorel_jax.data.row import Rejected
from autorel_jax.evaluation.ranks import spearman
from autorel_jax.faithfulness.config import DEFAULT, RANDOM, EvaluateConfig
from autorel_jax.faithfulness.counterfactual import Change
from autorel_jax.faithfulness.intervals import Mean, correlation_of, mean_of
from autorel_jax.faithfulness.protocols import PROTOCOLS, perturbations
from autorel_jax.files import write_text

SCHEMA = 1
CORRELATION = "correlation"  # over all pairs, not a mean over texts
CURVE = "curve_"  # before the name of a list of numbers
AGAINST = {"minus_random": RANDOM, "minus_default": DEFAULT}
LEFT_OUT = 20  # rows that the JSON lists


class Run:
    """What is gathered while texts are measured.

    Attributes:
      texts: N.
      read: rows of the input.
      left_out: those that cannot be measured.
      numbers: (method, protocol, perturbation, name) -> what was found, by the place of a text.
      changes: what each method tells of the change of a logit, and the real change, by the place of the text.
      sanity: how scores change with the model, as JSON.
      between: two methods -> the rank correlation of their scores, for each text where it is defined.
      computed: texts, whole or in part, that the model has read.
      agree, change: of a masked model, for each text whether it predicts the same, and how much the probability of the
        target differs.
    """

    def __init__(self, texts: int, read: int, left_out: Sequence[Rejected]):
        self.texts, self.read, self.left_out = texts, read, left_out
        self.numbers: dict[tuple[str, str, str, str], dict[int, Any]] = {}
        self.computed = 0
        self.changes: dict[str, dict[int, Change]] = {}
        self.sanity: list[dict[str, Any]] = []
        self.between: dict[tuple[str, str], list[float]] = {}
        self.agree: list[bool] = []
        self.change: list[float] = []

    def add(self, text: int, method: str, protocol: str, perturbation: str, numbers: Mapping[str, Any]) -> None:
        """Notes what a protocol found of a text."""
        for name, value in numbers.items():
            self.numbers.setdefault((method, protocol, perturbation, name), {})[text] = value

    def compare(self, scores: Mapping[str, np.ndarray]) -> None:
        """Notes how the scores of the methods for one text are correlated."""
        for pair in itertools.combinations(scores, 2):
            first, second = (scores[name] for name in pair)
            rho = spearman(first, second) if np.isfinite([first, second]).all() else None
            self.between.setdefault(pair, []).extend([] if rho is None else [rho])

    def differ(self, agree: Sequence[bool], change: Sequence[float]) -> None:
        """Notes how a masked model differs on some texts."""
        self.agree += agree
        self.change += change

    def column(self, key: tuple[str, str, str, str]) -> np.ndarray:
        """The numbers of all texts [N], NaN where there is none."""
        found = np.full(self.texts, np.nan)
        for text, value in self.numbers.get(key, {}).items():
            found[text] = value
        return found


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """How faithful methods are; `record` is what `save` writes, and docs/evaluation.md explains.

    Attributes:
      record: as JSON types.
    """

    record: dict[str, Any]

    def save(self, path: Path | str) -> None:
        """Writes the .json."""
        write_text(Path(path), json.dumps(self.record, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def table(self) -> str:
        """Tables of the main numbers, as text."""
        from autorel_jax.faithfulness.tables import tables

        return tables(self.record)

    def plot(self, path: Path | str) -> None:
        """Writes a picture of the curves; needs matplotlib, the extra `plot`."""
        from autorel_jax.faithfulness.plot import plot

        plot(self.record, Path(path))

    def __repr__(self) -> str:
        return f"Evaluation({self.record['texts']} texts, {', '.join(self.record['methods'])})"


def evaluation_of(about: Mapping[str, Any], run: Run, config: EvaluateConfig) -> Evaluation:
    """The Evaluation of a run."""
    masked = None
    if about["masked_model"]:
        means = [mean_of(np.array(of, float), config.resamples, config.seed) for of in (run.agree, run.change)]
        masked = about["masked_model"] | {
            "same_prediction": as_json(means[0]),
            "probability_change": as_json(means[1]),
        }
    record = {
        "schema": SCHEMA,
        "version": __version__,
        **about,
        "masked_model": masked,
        "texts": run.texts,
        "rows_read": run.read,
        "left_out": {"rows": len(run.left_out), "first": [item.record for item in run.left_out[:LEFT_OUT]]},
        "units": config.units,
        "limit": config.limit,
        "seed": config.seed,
        "resamples": config.resamples,
        "texts_computed": run.computed,
        "between_methods": [
            {"methods": list(pair), **as_json(mean_of(np.array(found), config.resamples, config.seed))}
            for pair, found in run.between.items()
        ],
        "results": list(results(about, run, config)),
        "curves": list(curves(run, config)),
        "sanity": run.sanity,
    }
    return Evaluation(record)


def results(about: Mapping[str, Any], run: Run, config: EvaluateConfig) -> Iterator[dict[str, Any]]:
    """Every number of every method: over the texts, and its paired differences."""
    for protocol in about["protocols"]:
        for perturbation in perturbations(protocol, about["perturbations"]):
            for measure in PROTOCOLS[protocol].measures:
                columns = {
                    method: run.column((method, protocol, perturbation, measure.name)) for method in about["methods"]
                }
                for method, column in columns.items():
                    against = {name: other for name, other in AGAINST.items() if other in columns and method != other}
                    if measure.name == CORRELATION:
                        means = {name: correlation(run, method, config, other) for name, other in against.items()}
                        means = {"over_texts": correlation(run, method, config)} | means
                    else:
                        series = {"over_texts": column}
                        series |= {name: column - columns[other] for name, other in against.items()}
                        means = {name: mean_of(of, config.resamples, config.seed) for name, of in series.items()}
                    yield {
                        "protocol": protocol,
                        "perturbation": perturbation,
                        "measure": measure.name,
                        "better": measure.better,
                        "method": method,
                        **{name: as_json(mean) for name, mean in means.items()},
                    }


def correlation(run: Run, method: str, config: EvaluateConfig, other: str | None = None) -> Mean:
    """Of what a method tells of changes with what they are; less that of the other, over the texts of both."""
    found = run.changes.get(method, {})
    beside = found if other is None else run.changes.get(other, {})
    places = [place for place in found if place in beside]
    told, real = np.array([found[place] for place in places], float).reshape(-1, 2).T
    minus = None if other is None else np.array([beside[place].told for place in places])
    return correlation_of(told, real, config.resamples, config.seed, minus)


def as_json(mean: Mean) -> dict[str, Any]:
    """A Mean as JSON, null where there is no text."""
    return {name: None if value != value else value for name, value in mean._asdict().items()}


def curves(run: Run, config: EvaluateConfig) -> Iterator[dict[str, Any]]:
    """The mean over texts of every curve, with an interval at each step."""
    for (method, protocol, perturbation, name), found in run.numbers.items():
        if name.startswith(CURVE):
            steps = [mean_of(step, config.resamples, config.seed) for step in np.array(list(found.values())).T]
            yield {
                "protocol": protocol,
                "perturbation": perturbation,
                "curve": name.removeprefix(CURVE),
                "method": method,
                "n": len(found),
                **{bound: [as_json(mean)[bound] for mean in steps] for bound in ("mean", "low", "high")},
            }
