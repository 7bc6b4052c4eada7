"""KernelSHAP with and without a prior: `python benchmarks/shapley.py --model DIR --texts dev.tsv`.

Units are words, the target is the predicted label. Short texts are compared with exact Shapley values, longer ones with
KernelSHAP of many samples, without a prior and with another seed. Errors are relative to the length of the vector of
values; intervals of 95 % are over texts. What is computed is kept in --cache, text by text: a run that was stopped
goes on, and one with fewer texts makes the table of those. Remove it where the method itself has changed.
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
from autorel_jax.faithfulness.parts import Parts, key_of, opened

EXACT = 10  # words, whose 1,022 parts are all computed
NO_PRIOR = "none"
OF_TEXT = slice(1, -1)  # of the words of one text: all but [CLS] and [SEP]
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
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 16, 24, 32, 48, 96, 256, 384, 512])
    parser.add_argument("--prior", default="attnlrp")
    parser.add_argument("--cache", type=Path, default=Path("shapley.jsonl"), help="a file (default: shapley.jsonl)")
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
    with opened(args.cache) as found:
        for group in groups:
            if group.texts:
                for line in table(classifier, chosen(classifier, texts, group), group, args.prior, found):
                    print(line, flush=True)


def chosen(classifier: ar.Classifier, texts: Sequence[str], group: Group) -> list[str]:
    """The first texts of as many words."""
    found = []
    for text in texts:
        (tokens,) = classifier.tokens([text])
        if group.least <= len(tokens.words[OF_TEXT]) <= group.most:
            found.append(text)
        if len(found) == group.texts:
            return found
    return found


def values(classifier: ar.Classifier, text: str, samples: int, prior: str, seed: int, found: Parts) -> np.ndarray:
    """KernelSHAP's value of each word."""
    key = key_of(classifier.fingerprint, text, samples, prior, seed)
    if key not in found:
        parameters = {"unit": "word", "samples": samples, "prior": prior, "seed": seed}
        one = ar.explain(classifier, [text], method="kernel_shap", parameters=parameters)[0]
        found.add({key: {"values": [float(value) for value in one.word_relevance]}})
    return np.array(found[key]["values"])[OF_TEXT]


def table(classifier: ar.Classifier, texts: Sequence[str], group: Group, prior: str, found: Parts) -> Iterator[str]:
    """The lines of a group's table."""
    names, better = (NO_PRIOR, prior), []
    errors, ranks = (np.empty((len(group.samples), 2, len(texts))) for _ in range(2))
    for place, text in enumerate(texts):
        better.append(values(classifier, text, group.reference, NO_PRIOR, 1, found))
        for at, samples in enumerate(group.samples):
            for which, name in enumerate(names):
                every = 2 ** len(better[-1]) - 2 <= min(samples, group.reference)  # which needs no second computation
                one = better[-1] if every else values(classifier, text, samples, name, 0, found)
                errors[at, which, place] = error(one, better[-1])
                ranks[at, which, place] = order(one, better[-1])
    words = np.array([len(value) for value in better])
    most = group.samples[-1]
    yield f"\n{len(texts)} texts of {words.min()} to {words.max()} words, mean {words.mean():.1f}\n"
    yield (
        "| samples | a word | error without | with | difference | with, minus without "
        f"at {most} | Spearman without | with |"
    )
    yield "|---" * 8 + "|"
    for at, samples in enumerate(group.samples):
        without, near = errors[at]
        cells = [interval(series) for series in (without, near, near - without, near - errors[-1, 0], *ranks[at])]
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
