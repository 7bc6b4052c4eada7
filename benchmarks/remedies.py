"""Ways to compute the same explanation, side by side: `python benchmarks/remedies.py [--shapes base:8x128]`.

Each way in turn, several rounds; a figure is the median of ratios to the first way, the one that ships, in the same
round. Beside wall time stands the time of all processors, which other jobs on the machine change less.
"""

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from long import SIZES, asked, blocks_from, random, ratio, timed

from autorel_jax.attribution import relevance
from autorel_jax.attribution.scores import token_scores
from autorel_jax.classifier import forward
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.lrp import rules
from autorel_jax.model import ops


@contextlib.contextmanager
def swapped(where: Any, **names: Any) -> Iterator[None]:
    """Other functions of those names in a module or a dict."""
    held = where if isinstance(where, dict) else vars(where)
    before = {name: held[name] for name in names}
    held.update(names)
    try:
        yield
    finally:
        held.update(before)


def recomputing() -> contextlib.AbstractContextManager[None]:
    """Layers hold their inputs alone; the backward pass computes the rest again."""
    return swapped(relevance, recomputed=lambda config, texts, tokens: True)


@contextlib.contextmanager
def both() -> Iterator[None]:
    """Blocks, and layers computed again."""
    with recomputing(), blocks_from(16):
        yield


def heads_first(table, query, key, value, mask, drop=lambda x: x, scores=ops.SCALED):
    """`ops.attention` with its factors turned round first, so that each head's matrices lie in one piece."""
    query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    found = table.contract("bhtk,bhsk->bhts", query / query.shape[-1] ** 0.5, key)
    weights = table.softmax(found, mask[:, None, None])
    return jnp.swapaxes(table.contract("bhts,bhsk->bhtk", weights, value), 1, 2)


def one_pass(x, scale, bias, epsilon, of_deviation=lambda inverse: inverse):
    """`ops.layer_norm` with mean and mean square from one reading of x; less exact."""
    mean, square = x.mean(axis=-1, keepdims=True), jnp.square(x).mean(axis=-1, keepdims=True)
    return (x - mean) * of_deviation(jax.lax.rsqrt(square - mean**2 + epsilon)) * scale + bias


@contextlib.contextmanager
def free_gelu() -> Iterator[None]:
    """x / 2 in place of GELU: wrong, and the most that a faster one could gain."""
    with (
        swapped(ops.ACTIVATIONS, gelu=lambda x: x / 2),
        swapped(rules.MULTIPLIERS, gelu=lambda x: jnp.full_like(x, 0.5)),
    ):
        yield


def free_norm(x, scale, bias, epsilon, of_deviation=lambda inverse: inverse):
    """Nothing in place of LayerNorm but its scale and bias: likewise."""
    return x * scale + bias


WAYS = {
    "as it ships": (contextlib.nullcontext, {}),
    "layers computed again": (recomputing, {}),
    "blocks from 16 tokens": (lambda: blocks_from(16), {}),
    "blocks, and layers computed again": (both, {}),
    "two layers a turn of the loop": (contextlib.nullcontext, {"unroll": 2}),
    "no loop over layers": (contextlib.nullcontext, {"unroll": True}),
    "heads before tokens in attention": (lambda: swapped(ops, attention=heads_first), {}),
    "LayerNorm in one pass": (lambda: swapped(ops, layer_norm=one_pass), {}),
    "LayerNorm for free (wrong)": (lambda: swapped(ops, layer_norm=free_norm), {}),
    "GELU for free (wrong)": (free_gelu, {}),
}


def main() -> None:
    """Prints a table for each shape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="minilm:32x32,minilm:8x128,base:8x128")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), help="the first is the measure")
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
    for name in args.ways:
        way, changes = WAYS[name]
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
    for name in memory:
        wall, busy = (ratio(times[name], times[next(iter(memory))], kind) for kind in (0, 1))
        passes = ratio(times[name], times["a forward pass"], 0)
        print(f"| {name} | {wall:.2f} | {busy:.2f} | {passes:.2f} | {memory[name]:,.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
