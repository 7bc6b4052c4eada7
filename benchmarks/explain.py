"""What an explanation costs beside a plain forward pass, and how long the first one of a fresh process takes.

    python benchmarks/explain.py [--sizes minilm,base] [--method attnlrp,gamma] [--shapes 32x32] [--repeats 15]
        [--skip-start] [--classes 5] [--audit] [--readouts heads,layers]

Weights are random: time does not depend on their values. Every ratio is of calls that alternate in one process.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

from autorel_jax import weights
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.lrp.composites import COMPOSITES
from autorel_jax.model import encoder as bert
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Bert
from autorel_jax.text.tokens import load_tokenizer

LABELS = ("negative", "positive")
SIZES = {
    "minilm": BertConfig(30522, 384, 6, 12, 1536, labels=LABELS),
    "base": BertConfig(30522, 768, 12, 12, 3072, labels=LABELS),
}
SHAPES = ((1, 32), (8, 32), (32, 32), (1, 128), (8, 128))  # texts, tokens


def main() -> None:
    """Prints the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--method", default=ExplainConfig.method)
    parser.add_argument("--shapes", default=",".join(f"{texts}x{tokens}" for texts, tokens in SHAPES))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--skip-start", action="store_true")
    parser.add_argument("--classes", type=int, default=0, help="explain that many at once (default: the predicted one)")
    parser.add_argument("--audit", action="store_true")
    parser.add_argument("--readouts", default="")
    args = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, jax {jax.__version__}, float32")
    for size in args.sizes.split(","):
        params = random_params(sized(size, args.classes))
        for shape in args.shapes.split(","):
            for method in args.method.split(","):
                print(cost(size, method, params, *map(int, shape.split("x")), args), flush=True)
    if not args.skip_start:
        start("minilm")


def sized(size: str, classes: int) -> BertConfig:
    """The architecture of that name, with as many labels."""
    labels = tuple(f"label {number}" for number in range(classes)) or LABELS
    return dataclasses.replace(SIZES[size], labels=labels)


def random_params(config: BertConfig) -> bert.Params:
    """Small normal numbers in place of trained weights, LayerNorm scales of 1."""
    rng = np.random.default_rng(0)

    def draw(path, leaf):
        values = 0.02 * rng.standard_normal(leaf.shape, np.float32)
        return values + 1 if path[-1].key == "scale" else values

    return jax.tree.map_with_path(draw, bert.shapes(config))


def cost(size: str, method: str, params: bert.Params, texts: int, tokens: int, args: argparse.Namespace) -> str:
    """One line: time of a forward pass and of relevance, their ratio, and the memory that each needs."""
    config, composite = sized(size, args.classes), COMPOSITES[method]
    inside = {"audit": args.audit, "readouts": tuple(filter(None, args.readouts.split(","))), "neurons": 10}
    settings = Settings(config, composite, composite.reads[0], **inside)
    weights = np.broadcast_to(np.eye(args.classes, dtype=np.float32), (texts, args.classes, args.classes))
    weights = weights if args.classes else None
    rng = np.random.default_rng(1)
    ids = rng.integers(1000, 30000, (texts, tokens)).astype(np.int32)
    mask, types = np.ones_like(ids), np.zeros_like(ids)
    params = jax.device_put(params)
    forward = jax.jit(Bert(config).apply).lower({"params": params}, ids, mask, types).compile()
    asked = params, Texts(ids, mask, types), weights, settings.values
    explain = token_scores.lower(settings, *asked).compile()
    calls = (
        lambda: forward({"params": params}, ids, mask, types),
        lambda: explain(*asked),
    )
    times = alternate(calls, args.repeats)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    plain, ours = (1e3 * statistics.median(column) for column in times)
    memory = [compiled.memory_analysis().temp_size_in_bytes / 2**20 for compiled in (forward, explain)]
    return (
        f"{size:7} {method:17} B={texts:<3} T={tokens:<4} forward {plain:8.1f} ms  relevance {ours:8.1f} ms  "
        f"ratio {ratio:.2f}  "
        f"(of minima {min(times[1]) / min(times[0]):.2f})  temporary memory {memory[0]:.1f} / {memory[1]:.1f} MiB"
    )


def alternate(calls, repeats: int, clock=time.perf_counter) -> list[list[float]]:
    """Seconds of each call in turn, after two rounds to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(repeats + 2):
        for column, call in zip(times, calls, strict=True):
            begin = clock()
            jax.block_until_ready(call())
            if turn >= 2:
                column.append(clock() - begin)
    return times


PARTS = """
import json, time
clock, marks = time.perf_counter, [time.perf_counter()]
from autorel_jax.cli.memory import keep_freed_memory
keep_freed_memory()
from autorel_jax.cli.device import keep_compiled_programs
from autorel_jax.explaining.explainer import explain
from autorel_jax.classifier import load
keep_compiled_programs()
marks.append(clock())
classifier = load({folder!r})
marks.append(clock())
explain(classifier, [{text!r}])
marks.append(clock())
explain(classifier, [{text!r}])
marks.append(clock())
print(json.dumps([after - before for before, after in zip(marks, marks[1:])]))
"""


def start(size: str) -> None:
    """Times the first explanation of a fresh process: the whole command, and its parts in a process of their own."""
    text = " ".join(f"w{number}" for number in range(20))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / size
        write_model(model, SIZES[size])
        cache = {"XDG_CACHE_HOME": str(Path(folder) / "cache")}
        for state in ("cold", "warm", "warm", "warm"):
            begin = time.perf_counter()
            fresh(["explain.py", text, "--model", str(model)], cache)
            print(f"{size:7} explain.py, compilation cache {state}: {time.perf_counter() - begin:.2f} s")
        cache["XDG_CACHE_HOME"] += "-of-parts"
        for state in ("cold", "warm"):
            parts = json.loads(fresh(["-c", PARTS.format(folder=str(model), text=text)], cache))
            imports, load, first, second = parts
            print(
                f"{size:7} parts, {state}: imports {imports:.2f} s, load {load:.2f} s, trace and compile "
                f"{first - second:.2f} s, run {second:.3f} s"
            )


def fresh(arguments: list[str], environment: dict[str, str]) -> str:
    """What a new Python process prints."""
    root = Path(__file__).parents[1]
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=root, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def write_model(folder: Path, config: BertConfig) -> None:
    """A directory with random weights and a vocabulary of as many made-up words."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += [f"w{number}" for number in range(config.vocab_size - len(words))]
    vocabulary = folder.parent / "vocab.txt"
    vocabulary.write_text("\n".join(words), encoding="utf-8")
    weights.write(folder, config, random_params(config), load_tokenizer(vocabulary))


if __name__ == "__main__":
    main()
