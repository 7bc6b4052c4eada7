"""How much memory a corpus takes: generated sentences through a small random model into a file, with a curve.

    python benchmarks/memory.py [--rows 1000000] [--output FILE.parquet] [--every 50000] [--limit 2048]

The sentences are drawn as they are read, seeded, and never in memory together. Resident memory is the process's, as
the system counts it. Exit code 1 if it exceeds the limit (MiB) at any of the points.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from autorel_jax.classifier import Classifier
from autorel_jax.cli.device import keep_compiled_programs
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.corpus.job import explain_corpus
from autorel_jax.data.row import Row
from autorel_jax.data.sources import Corpus, Source
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.model import encoder as bert
from autorel_jax.model.config import BertConfig
from autorel_jax.text.tokens import load_tokenizer

SEED = 0
WORDS = 5000  # of the vocabulary
LONGEST = 40  # words of a sentence; lengths are even between 3 and this
CHUNK = 10_000  # sentences that are drawn at once
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def main() -> int:
    """Prints the curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--output", type=Path, help="default: a file that is deleted")
    parser.add_argument("--every", type=int, default=50_000, help="rows between two points of the curve")
    parser.add_argument("--limit", type=int, default=2048, help="MiB")
    args = parser.parse_args()
    keep_compiled_programs()
    keep_freed_memory()
    explainer = Explainer(random_classifier(), ExplainConfig())
    corpus = Corpus((Source("generated", lambda: sentences(args.rows), [SEED, args.rows]),))
    curve = Curve(args.every)
    with tempfile.TemporaryDirectory() as folder:
        output = args.output or Path(folder) / "out.parquet"
        explain_corpus(explainer, corpus, output, progress=curve.add)
        curve.point("end")
        size = output.stat().st_size
    seconds = curve.seconds()
    print(f"\n{args.rows} rows in {seconds:.0f} s, {args.rows / seconds:.0f} rows/s; {output.name} {size / 1e6:.0f} MB")
    print(f"most resident: {curve.most:.0f} MiB")
    return int(curve.most > args.limit)


class Curve:
    """Resident memory and speed at points of a run, printed as they are reached."""

    def __init__(self, every: int):
        self.every, self.done, self.most, self.start = every, 0, 0.0, time.monotonic()
        print("| rows | seconds | rows/s | resident MiB |\n|---|---|---|---|")
        self.point(0)

    def add(self, rows: int) -> None:
        """So many more rows are done."""
        before, self.done = self.done, self.done + rows
        if before // self.every != self.done // self.every:
            self.point(self.done)

    def point(self, name: object) -> None:
        """Prints a line."""
        self.most = max(self.most, resident())
        seconds = self.seconds()
        print(f"| {name} | {seconds:.0f} | {self.done / max(seconds, 1e-9):.0f} | {resident():.0f} |", flush=True)

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self.start


def resident() -> float:
    """MiB, on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def vocabulary() -> list[str]:
    """Special tokens, letters, and random words."""
    rng = np.random.default_rng(SEED)
    words = {"".join(rng.choice(list(LETTERS), rng.integers(2, 9))) for _ in range(WORDS)}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return [*special, *LETTERS, *(f"##{letter}" for letter in LETTERS), *sorted(words)]


def random_classifier() -> Classifier:
    """2 layers of width 128, two labels."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(vocabulary()))
        tokenizer = load_tokenizer(path)
    config = BertConfig(tokenizer.max_id + 1, 128, 2, 2, 512, labels=("negative", "positive"))
    rng = np.random.default_rng(SEED)

    def draw(path, leaf):
        values = 0.02 * rng.standard_normal(leaf.shape, np.float32)
        return values + 1 if path[-1].key == "scale" else values

    params = jax.tree.map_with_path(draw, bert.shapes(config))
    return Classifier("random", config, jax.device_put(params), tokenizer)


def sentences(rows: int) -> Iterator[Row]:
    """Random words; every time the same."""
    words = np.array(vocabulary()[5:])
    rng = np.random.default_rng(SEED)
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        lengths = rng.integers(3, LONGEST + 1, count)
        drawn = iter(rng.choice(words, lengths.sum()).tolist())
        for place, length in enumerate(lengths.tolist()):
            text = " ".join(next(drawn) for _ in range(length))
            yield Row(start + place + 1, text, None, None, "generated", start + place + 1)


if __name__ == "__main__":
    sys.exit(main())
