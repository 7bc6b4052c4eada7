"""Is it right on the device? Golden arrays, batches, attention's kernels, the CPU's scores, a killed training run."""

import argparse
import functools
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gpu_record import Record
from gpu_training import learner_of, random_batch

from autorel_jax import explain as explain_texts
from autorel_jax import load
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp import fused
from autorel_jax.lrp.composites import ATTNLRP, COMPOSITES
from autorel_jax.model import encoder
from autorel_jax.model.config import BertConfig
from autorel_jax.training.run_state import Checkpoints

TESTS = Path(__file__).parents[1] / "tests"
FLOAT64 = 1e-7  # bounds of relative errors; here that of LXT's own 1e-10 in a quotient
FLOAT32 = SCORES = 1e-3
HALF = 0.05
SENTENCES = [
    "a gorgeous, witty, seductive movie.",
    "the plot is dull and the actors look bored.",
    "not bad, but not as good as the book.",
    "an unforgettable film about memory, loss and the small lies that keep a family together.",
]


def checks(record: Record) -> None:
    """Part (a), without training."""
    sys.path.insert(0, str(TESTS))
    names = ("attnlrp_small",) if record.small else None
    record.item("golden arrays, float64", lambda: golden(np.float64, FLOAT64, names))
    record.item("golden arrays, float32", lambda: golden(np.float32, FLOAT32, names))
    bounds = {"float32": SCORES} if record.small else {"float32": SCORES, "bfloat16": HALF, "float16": HALF}
    for kind, bound in bounds.items():
        record.item(f"one row alone and in a batch, {kind}", functools.partial(alone, kind, bound))
        record.item(f"attention's kernels, {kind}", functools.partial(kernels_agree, kind, bound, record.small))
    record.item("the built-in model beside a CPU", beside_cpu)


def error(found: Any, expected: Any) -> float:
    """max|found - expected| / max|expected|."""
    found, expected = (np.asarray(array, np.float64) for array in (found, expected))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def within(bound: float, **errors: float) -> dict[str, Any]:
    """The errors; an AssertionError where one is beyond the bound, or not a number."""
    bad = {name: value for name, value in errors.items() if not value <= bound}
    if bad:
        raise AssertionError(f"beyond {bound:g}: {bad}")
    return {**errors, "bound": bound}


def golden(dtype: Any, bound: float, names: tuple[str, ...] | None) -> dict[str, Any]:
    """Relevance that other programs computed (tests/golden) by the composites that reproduce it."""
    import test_golden as tests

    worst = 0.0
    for name in names or (*tests.LXT, *tests.ORIGINAL):
        arrays, config, params = tests.golden(name)
        ids, mask, types = (arrays[f"in/{key}"] for key in ("input_ids", "attention_mask", "token_type_ids"))
        onehot = np.eye(len(config.labels))[arrays["out/target"]].astype(dtype)
        of_lxt = name in tests.LXT
        wanted = {"gradient_x_input": "out/gradient_x_input"} | ({"attnlrp": "out/attnlrp"} if of_lxt else {})
        for method, key in wanted.items():
            with jax.enable_x64(dtype == np.float64):
                settings = Settings(config, COMPOSITES[method], tests.WORD_EMBEDDINGS if of_lxt else tests.EMBEDDINGS)
                given = settings, jax.tree.map(dtype, params), ids, mask, types, onehot, settings.values, tests.one
                logits, found = jax.device_get(tests.run(*given))
            worst = max(worst, error(logits, arrays["out/logits"]), error(found, arrays[key]))
    return within(bound, worst=worst)


def tiny(positions: int = 512, **changes: Any) -> tuple[BertConfig, encoder.Params]:
    """A model of heads as wide as BERT's."""
    config = BertConfig(1000, 128, 3, 2, 256, max_position_embeddings=positions, labels=("a", "b"), **changes)
    rng = np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> np.ndarray:
        return 0.1 * rng.standard_normal(leaf.shape, np.float32) + (path[-1].key == "scale")

    return config, jax.tree.map_with_path(draw, encoder.shapes(config))


def scores_of(config: BertConfig, params: Any, mask: np.ndarray, kind: str) -> np.ndarray:
    """Relevance of random texts whose padding `mask` [B, T] says."""
    ids = np.random.default_rng(1).integers(2, 1000, mask.shape).astype(np.int32)
    settings = Settings(config, ATTNLRP, ATTNLRP.reads[0], jnp.dtype(kind))
    texts = Texts(ids, mask.astype(np.int32), np.zeros_like(ids))
    return np.asarray(token_scores(settings, params, texts, None, settings.values).relevance)[:, 0]


def alone(kind: str, bound: float) -> dict[str, Any]:
    """The same text by itself, and among others of another length."""
    config, params = tiny()
    mask = np.arange(64) < np.array([[20], [64], [40], [1]])
    many = scores_of(config, params, mask, kind)
    single = scores_of(config, params, mask[:1, :20], kind)  # the ids of a first row cut short are the same numbers
    return within(bound, scores=error(single[0], many[0, :20]))


def kernels_agree(kind: str, bound: float, small: bool) -> dict[str, Any]:
    """Blocks, and cuDNN where it is at hand, against all scores at once; ragged texts, forward and backward."""
    tokens = 64 if small else 512
    config, params = tiny()
    mask = np.arange(tokens) < np.array([[tokens], [tokens // 2 + 3], [5]])
    before, found = (fused.LEAST, fused.GPU_TYPES, fused.BLOCK), {}
    ways = {"scores": (10**9, ()), "blocks": (1, ()), "library": (1, before[1])}
    if small:
        fused.BLOCK = 16
    for name, (fused.LEAST, fused.GPU_TYPES) in ways.items():
        jax.clear_caches()
        found[name] = scores_of(config, params, mask, kind)
    fused.LEAST, fused.GPU_TYPES, fused.BLOCK = before
    jax.clear_caches()
    library = fused.kernel(jnp.dtype(kind), config.head_width, windows=False)
    return {"library": library} | within(
        bound, **{f"{name}_error": error(found[name], found["scores"]) for name in ("blocks", "library")}
    )


def beside_cpu() -> dict[str, Any]:
    """The built-in classifier's scores here, and on this machine's CPU."""

    def scores() -> list[np.ndarray]:
        return [made.token_relevance for made in explain_texts(load(), SENTENCES)]

    here = scores()
    jax.clear_caches()
    with jax.default_device(jax.devices("cpu")[0]):
        there = scores()
    return within(SCORES, scores=max(map(error, here, there)))


# ---------------------------------------------------------------- training: killed and resumed

STEPS, DEATH = 12, 7


def resume(record: Record) -> None:
    """A run that is killed within a step and resumed ends with the bits of one that was not."""
    record.item("killed and resumed", killed_and_resumed)


def killed_and_resumed() -> dict[str, Any]:
    """Three processes: a whole run, one that kills itself, one that goes on."""
    with tempfile.TemporaryDirectory() as folder:
        whole = child(Path(folder) / "whole")
        died = child(Path(folder) / "killed", "--die")
        resumed = child(Path(folder) / "killed")
    if died.returncode != -signal.SIGKILL:
        raise AssertionError(f"the second run ended with {died.returncode}: {died.stderr[-200:]}")
    digests = [done.stdout.split()[-2:] for done in (whole, resumed)]
    if digests[0][1] != digests[1][1]:
        raise AssertionError(f"other parameters after a kill: {digests}")
    return {"began_again_at": int(digests[1][0]), "of_steps": STEPS, "same_bits": True}


def child(folder: Path, *flags: str) -> subprocess.CompletedProcess:
    """A training run in a process of its own."""
    done = subprocess.run([sys.executable, __file__, str(folder), *flags], capture_output=True, text=True)
    if done.returncode > 0:
        raise AssertionError(done.stderr[-400:])
    return done


def train(folder: Path, die: bool) -> None:
    """A tiny model, a checkpoint after each step; prints where it began, and a digest of the end."""
    config, params = tiny(positions=32, hidden_dropout_prob=0.1)
    learner = learner_of(config, params, STEPS)
    with Checkpoints(folder) as checkpoints:
        saved = checkpoints.restore(learner.shapes(params))
        state, begun = (learner.begin(params), 0) if saved is None else (saved.state, saved.step)
        take, _ = learner.compiled(state)
        for step in range(begun, STEPS):
            state, _ = take(state, random_batch(step, 8, 32, config.vocab_size, learner))
            checkpoints.save(step + 1, state, {})
            if die and step + 1 == DEATH:
                os.kill(os.getpid(), signal.SIGKILL)  # while the checkpoint is written
    leaves = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)]
    print(begun, hashlib.sha256(b"".join(leaves)).hexdigest())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die", action="store_true")
    train(**vars(parser.parse_args()))
