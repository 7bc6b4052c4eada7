"""What attention by blocks costs and saves, beside all scores at once: time, and memory by the compiler's own count.

    python benchmarks/long.py memory                    temporary memory alone: compiles, runs nothing
    python benchmarks/long.py times [--repeats 5]       both ways in turn, by length: where does it pay?
    python benchmarks/long.py document [--tokens 8192]  one document through a ModernBERT-base: resident memory, seconds

Weights are random: time does not depend on their values.
"""

import argparse
import dataclasses
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import forward
from autorel_jax.families.modernbert import ModernDetails
from autorel_jax.lrp import fused
from autorel_jax.lrp.composites import COMPOSITES
from autorel_jax.model import encoder
from autorel_jax.model.config import BertConfig

LABELS = ("negative", "positive")
MODERN = {
    "model_type": "modernbert",
    "max_position_embeddings": 8192,
    "type_vocab_size": 0,
    "embedding_dropout": 0.0,
    "classifier_dropout": 0.0,
    "layer_norm_eps": 1e-5,
    "details": ModernDetails(),
}
SIZES = {
    "minilm": BertConfig(30522, 384, 6, 12, 1536, labels=LABELS),
    "base": BertConfig(30522, 768, 12, 12, 3072, labels=LABELS),
    "modern": BertConfig(50368, 768, 22, 12, 1152, labels=LABELS, **MODERN),
}
MEMORY = (  # size, texts, tokens
    ("base", 32, 512),
    ("base", 32, 128),
    *(("modern", 1, tokens) for tokens in (1024, 2048, 4096, 8192)),
)
TIMES = (
    ("base", 8, 128),
    ("minilm", 8, 128),
    ("base", 2, 512),
    ("base", 2, 256),
    ("minilm", 4, 256),
    ("base", 2, 384),
    ("minilm", 4, 512),
    ("base", 1, 1024),
)
NEVER = 10**9  # tokens, from where blocks would be used


def main() -> None:
    """Prints the table that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "times", "document"))
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--method", default="attnlrp")
    parser.add_argument("--layers", type=int, help="fewer than the model has, for a short run")
    args = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, float32, {args.method}")
    {"memory": memory, "times": times, "document": document}[args.what](args)


@contextmanager
def blocks_from(tokens: int) -> Iterator[None]:
    """Attention by blocks from so many tokens on."""
    before, fused.LEAST = fused.LEAST, tokens
    jax.clear_caches()  # what is compiled does not know the constant
    try:
        yield
    finally:
        fused.LEAST = before


def config_of(size: str, args: argparse.Namespace) -> BertConfig:
    """The architecture of that name."""
    found = SIZES[size]
    return dataclasses.replace(found, num_hidden_layers=args.layers or found.num_hidden_layers)


def asked(config: BertConfig, texts: int, tokens: int, method: str, draw: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The arguments of `token_scores`."""
    settings = Settings(config, COMPOSITES[method], COMPOSITES[method].reads[0])
    ids = np.random.default_rng(1).integers(1000, 30000, (texts, tokens)).astype(np.int32)
    rows = Texts(ids, np.ones_like(ids), np.zeros_like(ids))
    return settings, jax.tree.map(draw, encoder.shapes(config)), rows, None, settings.values


def random(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    """Small normal numbers in place of trained weights."""
    return 0.02 * np.random.default_rng(0).standard_normal(leaf.shape, np.float32)


def temporary(given: tuple[Any, ...]) -> float:
    """MiB that the program of `token_scores` needs beside its arguments and results."""
    return token_scores.lower(*given).compile().memory_analysis().temp_size_in_bytes / 2**20


def memory(args: argparse.Namespace) -> None:
    """Temporary memory by shape, with all scores and by blocks."""
    print("| size | texts × tokens | all scores | by blocks | ratio |\n|---|---|---|---|---|")
    for size, texts, tokens in MEMORY:
        given = asked(config_of(size, args), texts, tokens, args.method, lambda leaf: leaf)
        with blocks_from(NEVER):
            whole = temporary(given)
        with blocks_from(128):
            ours = temporary(given)
        print(f"| {size} | {texts} × {tokens} | {whole:,.0f} MiB | {ours:,.0f} MiB | {ours / whole:.2f} |", flush=True)


def times(args: argparse.Namespace) -> None:
    """Both ways in turn; a ratio is the median of those of calls next to each other."""
    print("| size | texts × tokens | forward by blocks: wall, processors | relevance by blocks: wall, processors |")
    print("|---|---|---|---|")
    for size, texts, tokens in TIMES:
        config = config_of(size, args)
        given = asked(config, texts, tokens, args.method, random)
        calls = []
        for least in (NEVER, 128):
            with blocks_from(least):
                rows = given[2]
                plain = forward.lower(config, None, given[1], rows.ids, rows.mask, rows.types).compile()
                calls.append((plain, token_scores.lower(*given).compile()))
        columns = []
        for which, arguments in enumerate(((given[1], *given[2][:3]), given[1:])):
            turns = [[timed(programs[which], *arguments) for programs in calls] for _ in range(args.repeats + 1)][1:]
            scores, blocks = zip(*turns, strict=True)
            columns.append(f"{ratio(blocks, scores, 0):.2f}, {ratio(blocks, scores, 1):.2f}")
        print(f"| {size} | {texts} × {tokens} | {' | '.join(columns)} |", flush=True)


def document(args: argparse.Namespace) -> None:
    """One long document: a forward pass, then its relevance, and the most memory that the process ever had."""
    config = config_of("modern", args)
    settings, params, rows, *others = asked(config, 1, args.tokens, args.method, random)
    params = jax.device_put(params)  # what was drawn is not kept beside it
    plain = forward.lower(config, None, params, *rows[:3]).compile()
    first, _ = timed(plain, params, *rows[:3])
    explain = token_scores.lower(settings, params, rows, *others).compile()
    whole, _ = timed(explain, params, rows, *others)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print("| tokens | attention | forward | relevance | ratio | temporary | resident at most |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {args.tokens} | {settings.attention(args.tokens)} | {first:.1f} s | {whole:.1f} s | {whole / first:.2f} | "
        f"{explain.memory_analysis().temp_size_in_bytes / 2**20:,.0f} MiB | {resident:,.0f} MiB |"
    )


def timed(call: Callable[..., Any], *arguments: Any) -> tuple[float, float]:
    """Seconds of wall and of processors."""
    wall, busy = time.perf_counter(), time.process_time()
    jax.block_until_ready(call(*arguments))
    return time.perf_counter() - wall, time.process_time() - busy


def ratio(a: Sequence[tuple[float, float]], b: Sequence[tuple[float, float]], kind: int) -> float:
    """The median over rounds."""
    return statistics.median(x[kind] / y[kind] for x, y in zip(a, b, strict=True))


if __name__ == "__main__":
    main()
