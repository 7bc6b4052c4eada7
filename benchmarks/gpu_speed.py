"""Explaining on a device: sentences and tokens a second, the share of the peak, attention's kernels, memory."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gpu_record import Record
from long import MODERN

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import forward
from autorel_jax.errors import out_of_memory
from autorel_jax.lrp import fused
from autorel_jax.lrp.composites import ATTNLRP
from autorel_jax.model import encoder, ops
from autorel_jax.model.config import BertConfig

LABELS = ("negative", "positive")
SIZES = {
    "minilm": BertConfig(30522, 384, 6, 12, 1536, labels=LABELS),
    "base": BertConfig(30522, 768, 12, 12, 3072, labels=LABELS),
    "large": BertConfig(30522, 1024, 24, 16, 4096, labels=LABELS),
    "tiny": BertConfig(30522, 32, 2, 2, 64, labels=LABELS),
    "modern": BertConfig(50368, 768, 22, 12, 1152, labels=LABELS, **MODERN),
    "tiny modern": BertConfig(30522, 32, 3, 2, 64, labels=LABELS, **MODERN),
}
PRECISIONS = {"bfloat16": jnp.bfloat16, "tf32": jnp.float32, "float32": jnp.float32}
TOKENS = (32, 128, 512)
PEAKS = {  # TFLOP/s without sparsity, from NVIDIA's data sheets: bfloat16, TF32, float32
    "H100": (989, 494, 67),
    "H200": (989, 494, 67),
    "A100": (312, 156, 19.5),
    "L40S": (362, 183, 91.6),
    "L4": (121, 60, 30.3),
}
CASES = (  # the most wanted first; those that are left out by time come again with the same command
    *(("base", kind, tokens) for kind in ("bfloat16", "tf32") for tokens in (128, 32, 512)),
    *(("minilm", "bfloat16", tokens) for tokens in TOKENS),
    *(("large", "bfloat16", tokens) for tokens in TOKENS),
    *((size, "float32", tokens) for size in ("base", "minilm", "large") for tokens in TOKENS),
    *((size, "tf32", tokens) for size in ("minilm", "large") for tokens in TOKENS),
)
SMALL_CASES = tuple(("tiny", kind, 16) for kind in ("bfloat16", "tf32"))
FILLS = (2**13, 2**15, 2**17)  # tokens of a batch that the first case tries, until a sentence takes no less time
FULL = 2**16  # tokens of a batch with which every other case begins; half of it where the memory runs out, and so on


def machine() -> dict[str, Any]:
    """What the figures are of."""
    device = jax.devices()[0]
    return {
        "date": str(date.today()),
        "device": device.device_kind,
        "platform": device.platform,
        "jax": jax.__version__,
    }


def peak(kind: str) -> float | None:
    """FLOP/s of this device, if it is known."""
    found = [peaks for name, peaks in PEAKS.items() if name in jax.devices()[0].device_kind]
    return 1e12 * found[0][list(PRECISIONS).index(kind)] if found else None


def flops(config: BertConfig, texts: int, tokens: int) -> float:
    """Of a forward pass: the matrix products, of the last layer those that [CLS] needs."""
    width, inner = config.hidden_size, config.intermediate_size
    token = 2 * (4 * width**2 + 2 * width * inner) + 4 * tokens * width
    last = tokens * 4 * width**2 + 2 * (2 * width**2 + 2 * width * inner) + 4 * tokens * width
    return float(texts * ((config.depth - 1) * tokens * token + last))


@functools.cache
def params_of(size: str) -> encoder.Params:
    """Random weights on the device: time does not depend on their values."""
    rng = np.random.default_rng(0)
    draw = functools.partial(jax.tree.map, lambda leaf: 0.02 * rng.standard_normal(leaf.shape, np.float32))
    return jax.device_put(draw(encoder.shapes(SIZES[size])))


def texts_of(count: int, tokens: int) -> Texts:
    """Random ids, no padding."""
    ids = np.random.default_rng(1).integers(1000, 30000, (count, tokens)).astype(np.int32)
    return Texts(*jax.device_put((ids, np.ones_like(ids), np.zeros_like(ids))))


@contextlib.contextmanager
def precision(kind: str) -> Iterator[None]:
    """TF32 in place of the exact products of float32, if that is the kind."""
    before = ops.PRECISION
    ops.PRECISION = jax.lax.Precision.DEFAULT if kind == "tf32" else before
    jax.clear_caches()  # what is compiled does not know the constant
    try:
        yield
    finally:
        ops.PRECISION = before
        jax.clear_caches()


def programs(size: str, kind: str, count: int, tokens: int) -> tuple[Callable[[], Any], Callable[[], Any], float]:
    """A forward pass, an explanation, and the seconds that the latter took to trace and compile."""
    config, dtype, params, rows = SIZES[size], PRECISIONS[kind], params_of(size), texts_of(count, tokens)
    settings = Settings(config, ATTNLRP, ATTNLRP.reads[0], jnp.dtype(dtype))
    plain = forward.lower(config, jnp.dtype(dtype), params, *rows[:3]).compile()
    begun = time.perf_counter()
    made = token_scores.lower(settings, params, rows, None, settings.values).compile()
    took = time.perf_counter() - begun
    return lambda: plain(params, *rows[:3]), lambda: made(params, rows, None, settings.values), took


def seconds(call: Callable[[], Any], least: float) -> float:
    """Of one call, the mean over `least` seconds of them, after one to warm up."""
    jax.block_until_ready(call())
    done, begun = 0, time.perf_counter()
    while not done or time.perf_counter() - begun < least:
        found = [call() for _ in range(max(1, done))]  # without a wait between them
        jax.block_until_ready(found[-1])
        done += len(found)
    return (time.perf_counter() - begun) / done


def halved(count: int, find: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """What `find` makes of a batch of so many texts, or of half of them, and so on, until they fit the memory."""
    while True:
        try:
            return find(count)
        except jax.errors.JaxRuntimeError as error:
            if count == 1 or not out_of_memory(error):
                raise
        count //= 2


def rate(size: str, kind: str, tokens: int, small: bool, count: int) -> dict[str, Any]:
    """The figures of a shape, of batches of so many texts."""
    with precision(kind):
        plain, ours, compiling = programs(size, kind, count, tokens)
    first, whole = (seconds(call, 0.01 if small else 0.3) for call in (plain, ours))
    found = {
        "batch": count,
        "sentences_per_s": count / whole,
        "tokens_per_s": count * tokens / whole,
        "forward_ms": 1e3 * first,
        "relevance_ms": 1e3 * whole,
        "ratio": whole / first,
        "compile_s": compiling,
    }
    if limit := peak(kind):
        found["share_of_peak"] = 2 * flops(SIZES[size], count, tokens) / whole / limit
    return found


def best_rate(size: str, kind: str, tokens: int) -> dict[str, Any]:
    """Of the batches of FILLS, that of which a sentence takes the least time; a larger one has to gain 3 %."""
    best: dict[str, Any] = {}
    for fill in FILLS:
        try:
            found = rate(size, kind, tokens, False, max(1, fill // tokens))
        except jax.errors.JaxRuntimeError as error:
            if best and out_of_memory(error):
                break
            raise
        if best and found["sentences_per_s"] < 1.03 * best["sentences_per_s"]:
            break
        best = found
    return best


def explain(record: Record) -> None:
    """Part (b): rates by size, precision and length; then attention's kernels beside each other."""
    if record.small:
        record.item("tiny bfloat16 16 kernels", lambda: kernels("tiny", 16, True))
    for number, (size, kind, tokens) in enumerate(SMALL_CASES if record.small else CASES):
        if number == 0 and not record.small:  # each batch takes two programs to compile
            call = functools.partial(best_rate, size, kind, tokens)
        else:
            find = functools.partial(rate, size, kind, tokens, record.small)
            call = functools.partial(halved, max(1, (64 if record.small else FULL) // tokens), find)
        record.item(f"{size} {kind} {tokens}", call)
        if number == 2 and not record.small:
            for length in (512, 128):
                record.item(f"base bfloat16 {length} kernels", functools.partial(kernels, "base", length, False))


def kernels(size: str, tokens: int, small: bool) -> dict[str, Any]:
    """Milliseconds of a batch with all scores, by our blocks, and by cuDNN where it is at hand."""
    ways = {"scores": (10**9, fused.GPU_TYPES), "blocks": (1, ()), "cudnn": (1, fused.GPU_TYPES)}
    before, found = (fused.LEAST, fused.GPU_TYPES), {}
    for name, (fused.LEAST, fused.GPU_TYPES) in ways.items():
        if name == "cudnn" and fused.kernel(jnp.bfloat16, SIZES[size].head_width, windows=False) != fused.CUDNN:
            continue
        jax.clear_caches()
        _, ours, _ = programs(size, "bfloat16", 64 if small else 2**15 // tokens, tokens)
        found[f"{name}_ms"] = 1e3 * seconds(ours, 0.01 if small else 0.3)
    fused.LEAST, fused.GPU_TYPES = before
    jax.clear_caches()
    return found


def memory(record: Record) -> None:
    """Part (d): the largest batch of 512 tokens, and one document of 8,192."""
    base, modern = ("tiny", "tiny modern") if record.small else ("base", "modern")
    document = 600 if record.small else 8192
    for kind in ("bfloat16", "float32"):  # documents first: the device counts the most that the process ever used
        record.item(
            f"{modern} {kind} {document}", functools.partial(one_document, modern, kind, document, record.small)
        )
    for kind in ("bfloat16", "float32"):
        record.item(f"{base} {kind} 512 largest batch", functools.partial(largest, base, kind, record.small))


def largest(size: str, kind: str, small: bool) -> dict[str, Any]:
    """Halves a batch until it fits."""

    def run(count: int) -> dict[str, Any]:
        _, ours, _ = programs(size, kind, count, 64 if small else 512)
        jax.block_until_ready(ours())
        return {"batch": count, **used()}

    return halved(4 if small else 4096, run)


def one_document(size: str, kind: str, tokens: int, small: bool) -> dict[str, Any]:
    """A long text: seconds and memory."""
    plain, ours, compiling = programs(size, kind, 1, tokens)
    first, whole = (seconds(call, 0.01 if small else 0.5) for call in (plain, ours))
    return {
        "forward_ms": 1e3 * first,
        "relevance_ms": 1e3 * whole,
        "ratio": whole / first,
        "compile_s": compiling,
        **used(),
    }


def used() -> dict[str, Any]:
    """The most memory that was in use, where the device counts it."""
    found = jax.devices()[0].memory_stats() or {}
    return {"peak_GiB": found["peak_bytes_in_use"] / 2**30} if "peak_bytes_in_use" in found else {}
