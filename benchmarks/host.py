"""How fast the host is without the model: a corpus end to end, with zeros in place of what the device computes.

    python benchmarks/host.py [--rows 20000] [--output FILE.parquet]

What is timed: reading, tokenizing, batching, describing, writing Parquet. A device that is faster than this waits.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from memory import random_classifier, sentences

from autorel_jax.attribution.method import Result
from autorel_jax.corpus.job import explain_corpus
from autorel_jax.data.sources import Corpus, Source
from autorel_jax.explaining import compute
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--output", type=Path, help="default: a file that is deleted")
    args = parser.parse_args()
    seconds, busy = host_seconds(args.rows, args.output)
    print(
        f"{args.rows} rows without a model, {os.cpu_count()} cores: {args.rows / seconds:,.0f} rows/s ({seconds:.1f} s)"
    )
    print(f"{args.rows / busy:,.0f} rows per second of a processor's work ({busy:.1f} s)")


def host_seconds(rows: int, output: Path | None = None) -> tuple[float, float]:
    """Seconds of a job over generated sentences whose scores are zeros: of wall, and of the processors."""
    with no_model():
        return job_seconds(Explainer(random_classifier(), ExplainConfig()), rows, output)


def job_seconds(explainer: Explainer, rows: int, output: Path | None = None) -> tuple[float, float]:
    """Seconds of a job over generated sentences of 3 to 40 words, likewise."""
    corpus = Corpus((Source("generated", lambda: sentences(rows), [0, rows]),))
    with tempfile.TemporaryDirectory() as folder:
        begun, busy = time.perf_counter(), time.process_time()
        explain_corpus(explainer, corpus, output or Path(folder) / "out.parquet")
        return time.perf_counter() - begun, time.process_time() - busy


@contextmanager
def no_model() -> Iterator[None]:
    """Zeros in place of what `token_scores` computes for the predicted label."""

    def zeros(settings: Any, params: Any, texts: Any, weights: Any, values: Any) -> Result:
        rows, tokens = texts.ids.shape
        logits = np.zeros((rows, settings.config.num_labels), np.float32)
        targets = 1 if weights is None else weights.shape[1]
        return Result(logits, logits, np.zeros((rows, targets, tokens), np.float32))

    before, compute.token_scores = compute.token_scores, zeros
    try:
        yield
    finally:
        compute.token_scores = before


if __name__ == "__main__":
    main()
