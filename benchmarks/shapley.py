"""KernelSHAP with and without a prior: `python benchmarks/shapley.py --model DIR --texts dev.tsv`.

Units are words, the target is the predicted label. Short texts are compared with exact Shapley values, longer ones with
KernelSHAP of many samples, without a prior and with another seed. Errors are relative to the length of the vector of
values; intervals of 95 % are over texts. Each group's reference is kept in --cache, the longest part of a run.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import autorel_jax as ar
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.data.row import Columns
from autorel_jax.data.rows import read_rows
from autorel_jax.evaluation.ranks import spearman
from autorel_jax.faithfulness.intervals import Mean, mean_of

EXACT = 10  # words, whose 1,022 parts are all computed
RESAMPLES = 2000


class Group(NamedTuple):
    """Texts of like length, and with how many samples their reference is computed."""

    name: str
    least: int  # words
    most: int
    texts: int
    reference: int
    samples: Sequence[int]


def main() -> None:
    """Prints a table for each group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a classifier, as autorel-explain takes it (default: the built-in one)")
    parser.add_argument("--texts", required=True, type=Path, help="a .tsv, .csv or .jsonl file")
    parser.add_argument("--text-column", default="sentence")
    parser.add_argument("--short", type=int, default=200, help="texts of 6 to 10 words")
    parser.add_argument("--long", type=int, default=30, help="texts of 20 to 26 words")
    parser.add_argument("--reference", type=int, default=10000, help="samples for the longer texts")
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 16, 24, 32, 48, 96, 256])
    parser.add_argument("--prior", default="attnlrp")
    parser.add_argument("--cache", type=Path, default=Path("shapley"), help="a folder (default: shapley)")
    args = parser.parse_args()
    keep_freed_memory()
    classifier = ar.load(args.model) if args.model else ar.load()
    texts = [row.text for row in read_rows(args.texts, Columns(args.text_column))]
    texts = [texts[place] for place in np.random.default_rng(0).permutation(len(texts))]
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, jax {jax.__version__}", flush=True)
    groups = (
        Group("short", 6, EXACT, args.short, 2**EXACT - 2, args.samples),
        Group("long", 20, 26, args.long, args.reference, args.samples),
    )
    for group in groups:
        if group.texts:
            for line in table(classifier, chosen(classifier, texts, group), group, args.prior, args.cache):
                print(line, flush=True)


def chosen(classifier: ar.Classifier, texts: Sequence[str], group: Group) -> list[str]:
    """The first texts of as many words."""
    found = []
    for text in texts:
        (tokens,) = classifier.tokens([text])
        if group.least <= len(tokens.words) <= group.most:
            found.append(text)
        if len(found) == group.texts:
            return found
    return found


def values(classifier: ar.Classifier, texts: Sequence[str], samples: int, **more: object) -> list[np.ndarray]:
    """KernelSHAP's value of each word."""
    parameters = {"unit": "word", "samples": samples, **more}
    return [one.word_relevance for one in ar.explain(classifier, texts, method="kernel_shap", parameters=parameters)]


def reference(classifier: ar.Classifier, texts: Sequence[str], group: Group, cache: Path) -> list[np.ndarray]:
    """The better values, each text's as soon as it is computed in a file of the cache."""
    found = []
    cache.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        file = cache / f"{group.name}_{group.reference}_{number}.npy"
        if not file.exists():
            np.save(file, values(classifier, [text], group.reference, seed=1)[0])
        found.append(np.load(file))
    return found


def table(classifier: ar.Classifier, texts: Sequence[str], group: Group, prior: str, cache: Path) -> Iterator[str]:
    """The lines of a group's table."""
    better = reference(classifier, texts, group, cache)
    words = np.array([len(value) for value in better])
    yield f"\n{len(texts)} texts of {words.min()} to {words.max()} words, mean {words.mean():.1f}\n"
    yield "| samples | a word | error without | with | difference | Spearman without | with |"
    yield "|---|---|---|---|---|---|---|"
    for samples in group.samples:
        without, near = (values(classifier, texts, samples, prior=name) for name in ("none", prior))
        errors = [np.array([error(*pair) for pair in zip(one, better, strict=True)]) for one in (without, near)]
        ranks = [np.array([order(*pair) for pair in zip(one, better, strict=True)]) for one in (without, near)]
        cells = [interval(series) for series in (*errors, errors[1] - errors[0], *ranks)]
        yield f"| {samples} | {samples / words.mean():.1f} | {' | '.join(cells)} |"


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """|found - expected| / |expected|."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def order(found: np.ndarray, expected: np.ndarray) -> float:
    """Spearman's correlation, NaN where there is none."""
    correlation = spearman(found, expected)
    return np.nan if correlation is None else correlation


def interval(series: np.ndarray) -> str:
    """A mean with its interval."""
    found: Mean = mean_of(series, RESAMPLES, seed=0)
    return f"{found.mean:.3f} [{found.low:.3f} {found.high:.3f}]"


if __name__ == "__main__":
    main()
