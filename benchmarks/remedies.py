"""Ways to compute the same explanation, side by side: `python benchmarks/remedies.py [--shapes base:8x128]`.

Each way in turn, several rounds; a figure is the median of ratios to the way that ships, in the same round. Beside wall
time stands the time of all processors, which other jobs on the machine change less.
"""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
from long import SIZES, asked, blocks_from, random, ratio, timed

from autorel_jax.attribution import relevance
from autorel_jax.attribution.scores import token_scores
from autorel_jax.classifier import forward
from autorel_jax.cli.memory import keep_freed_memory


@contextlib.contextmanager
def recomputing() -> Iterator[None]:
    """Layers hold their inputs alone; the backward pass computes the rest again."""
    before, relevance.recomputed = relevance.recomputed, lambda config, texts, tokens: True
    try:
        yield
    finally:
        relevance.recomputed = before


@contextlib.contextmanager
def both() -> Iterator[None]:
    """Blocks, and layers computed again."""
    with recomputing(), blocks_from(16):
        yield


WAYS = {
    "as it ships": (contextlib.nullcontext, {}),
    "layers computed again": (recomputing, {}),
    "blocks from 16 tokens": (lambda: blocks_from(16), {}),
    "blocks, layers computed again": (both, {}),
    "no loop over layers": (contextlib.nullcontext, {"unroll": True}),
}


def main() -> None:
    """Prints a table for each shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="minilm:32x32,minilm:8x128,base:8x128")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--layers", type=int, help="fewer than the model has, for a short run")
    args = parser.parse_args()
    keep_freed_memory()
    for shape in args.shapes.split(","):
        size, _, rest = shape.partition(":")
        texts, tokens = map(int, rest.split("x"))
        print(f"\n{size}, {texts} × {tokens}, {jax.devices()[0].device_kind}, jax {jax.__version__}")
        table(size, texts, tokens, args)


def table(size: str, texts: int, tokens: int, args: argparse.Namespace) -> None:
    """One shape."""
    config = dataclasses.replace(SIZES[size], num_hidden_layers=args.layers or SIZES[size].num_hidden_layers)
    settings, params, rows, *others = asked(config, texts, tokens, "attnlrp", random)
    params, memory = jax.device_put(params), {}
    plain = forward.lower(config, None, params, *rows[:3]).compile()
    calls: dict[str, Callable[[], Any]] = {"a forward pass": lambda: plain(params, *rows[:3])}
    for name, (way, changes) in WAYS.items():
        with way():
            jax.clear_caches()
            made = token_scores.lower(dataclasses.replace(settings, **changes), params, rows, *others).compile()
        memory[name] = made.memory_analysis().temp_size_in_bytes / 2**20
        calls[name] = lambda made=made: made(params, rows, *others)
    times = {name: [] for name in calls}
    for turn in range(args.rounds + 1):
        for name, call in calls.items():
            found = timed(call)
            if turn:
                times[name].append(found)
    print("| way | wall | processors | wall, forward passes | temporary memory |\n|---|---|---|---|---|")
    for name in WAYS:
        wall, busy = (ratio(times[name], times["as it ships"], kind) for kind in (0, 1))
        passes = ratio(times[name], times["a forward pass"], 0)
        print(f"| {name} | {wall:.2f} | {busy:.2f} | {passes:.2f} | {memory[name]:,.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
