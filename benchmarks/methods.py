"""What each method costs beside a plain forward pass: `python benchmarks/methods.py --model DIR --texts dev.tsv`.

Every composite and every method of docs/methods.md explains the predicted label of the same sentences in the same
batches, by the library's own path from tokens to scores on the host. Forward passes run before and after each, in the
same process; a ratio is that of the times between which nothing else ran. Compilation is not counted.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.targets import Targets
from autorel_jax.classifier import Classifier, forward, load
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.data.row import Columns
from autorel_jax.data.rows import read_rows
from autorel_jax.explaining.config import BATCH_SIZES, ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.fitting import fetched
from autorel_jax.explaining.shapes import batch_shape, padded_length
from autorel_jax.lrp.composites import COMPOSITES
from autorel_jax.text.batches import pad
from autorel_jax.text.tokens import Tokens

PREDICTED = Targets(None, None)


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a classifier, as autorel-explain takes it")
    parser.add_argument("--texts", required=True, type=Path, help="a .tsv, .csv or .jsonl file")
    parser.add_argument("--text-column", default="sentence")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZES["cpu"])
    parser.add_argument("--methods", default=",".join([*COMPOSITES, *METHODS]))
    parser.add_argument("--budget", type=float, default=20, help="seconds a method, after its first run; once at least")
    args = parser.parse_args()
    keep_freed_memory()
    classifier = load(args.model)
    rows = read_rows(args.texts, Columns(args.text_column))
    tokens = classifier.tokens([row.text for row, _ in zip(rows, range(args.sentences), strict=False)])
    lengths = [len(row.ids) for row in tokens]
    print(
        f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, jax {jax.__version__}, {classifier.dtype}; "
        f"{len(tokens)} sentences of {statistics.mean(lengths):.1f} tokens, batches of {args.batch_size}\n\n"
        "| method | parameters | forward passes' worth | seconds per 100 sentences | runs |\n|---|---|---|---|---|"
    )
    plain = passes(classifier, tokens, args.batch_size)
    for name in args.methods.split(","):
        explainer = Explainer(classifier, ExplainConfig(method=name, batch_size=args.batch_size))
        print(line(explainer, tokens, plain, args.budget), flush=True)


def batches(tokens: Sequence[Tokens], size: int) -> list[list[int]]:
    """The places of the sentences of each batch, sorted by length as the library does."""
    order = sorted(range(len(tokens)), key=lambda place: -len(tokens[place].ids))
    return [order[start : start + size] for start in range(0, len(order), size)]


def passes(classifier: Classifier, tokens: Sequence[Tokens], size: int) -> Callable[[], None]:
    """A call that computes the logits of every sentence, in the batches and shapes that a method gets."""
    made = []
    for places in batches(tokens, size):
        rows = [tokens[place] for place in places]
        length = padded_length(max(len(row.ids) for row in rows), classifier.config.longest_text, len(rows))
        made.append(pad(rows, length, batch_shape(len(rows), size), classifier.tokenizer.pad_id))
    dtype = jax.numpy.dtype(classifier.dtype)

    def run() -> None:
        for batch in made:
            np.asarray(forward(classifier.config, dtype, classifier.params, batch.ids, batch.mask, batch.types))

    return run


def line(explainer: Explainer, tokens: Sequence[Tokens], plain: Callable[[], None], budget: float) -> str:
    """A row of the table."""

    def run() -> None:
        for places in batches(tokens, explainer.computer.batch_size):
            fetched(explainer.computer.compute(tokens, PREDICTED, places))

    run(), plain()
    taken, ratios, begun = [], [], time.perf_counter()
    while not taken or time.perf_counter() - begun < budget:
        before, cost, after = (seconds(call) for call in (plain, run, plain))
        taken.append(cost)
        ratios.append(cost / statistics.mean((before, after)))
    given = {name: value for name, value in explainer.parameters.items() if name not in ("read_at", "seed")}
    parameters = ", ".join(f"{name} = {value}" for name, value in given.items()) or "–"
    per_hundred = 100 / len(tokens) * statistics.median(taken)
    return (
        f"| `{explainer.method.name}` | {parameters} | {statistics.median(ratios):.2f} | {per_hundred:.2f} | "
        f"{len(taken)} |"
    )


def seconds(call: Callable[[], None]) -> float:
    """How long a call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
