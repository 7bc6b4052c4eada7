"""How far apart two runs of one model are: `python benchmarks/rounding.py --model DIR --texts dev.tsv`.

Every method explains the same texts in other batches, with one thread, with the instructions of older CPUs, in
bfloat16, and in float64, which stands for no rounding. The distances are those of autorel_jax/auditing/rounding.py,
whose bounds come from this table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FLAGS = {  # run -> dtype, texts in a batch, XLA's flags
    "as it is": ("float32", 32, ""),
    "batches of 1": ("float32", 1, ""),
    "one thread": ("float32", 32, "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"),
    "AVX, no FMA": ("float32", 32, "--xla_cpu_max_isa=AVX"),
    "SSE4.2": ("float32", 32, "--xla_cpu_max_isa=SSE4_2"),
    "float64": ("float64", 32, ""),
    "bfloat16": ("bfloat16", 32, ""),
    "bfloat16, batches of 1": ("bfloat16", 1, ""),
    "float64, batches of 1": ("float64", 1, ""),
}
BASES = {"float32": "as it is", "bfloat16": "bfloat16", "float64": "float64"}  # what a run of that dtype is measured by


def main() -> None:
    """Prints a table for each kind of numbers, a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True, type=Path, help="a .tsv, .csv or .jsonl file")
    parser.add_argument("--text-column", default="sentence")
    parser.add_argument("--sentences", type=int, default=50)
    parser.add_argument("--methods", default="", help="NAME,NAME (default: all)")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        args.output.write_text(json.dumps(texts_by_method(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = {run: started(run, Path(folder) / "found.json") for run in FLAGS}
    for kind in ("logits", "scores", "ledger"):
        show(kind, found)


def started(run: str, output: Path) -> dict[str, list]:
    """The texts of each method, from a process of its own."""
    dtype, _, flags = FLAGS[run]
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_ENABLE_X64": str(int(dtype == "float64"))}
    command = [sys.executable, *sys.argv, "--run", run, "--output", str(output)]
    subprocess.run(command, check=True, env=environment)
    print(f"done: {run}", file=sys.stderr)
    return json.loads(output.read_text())


def texts_by_method(args: argparse.Namespace) -> dict[str, list]:
    """What records hold of the texts, by method."""
    from autorel_jax.attribution.methods import METHODS
    from autorel_jax.auditing.record import Recorder, gather, with_ledger
    from autorel_jax.classifier import load
    from autorel_jax.data.row import Columns
    from autorel_jax.data.rows import read_rows
    from autorel_jax.explaining.config import ExplainConfig
    from autorel_jax.lrp.composites import COMPOSITES

    dtype, batch_size, _ = FLAGS[args.run]
    classifier = load(args.model, dtype=dtype)
    pairs = zip(read_rows(args.texts, Columns(args.text_column)), range(args.sentences), strict=False)
    rows = [row for row, _ in pairs]
    methods = args.methods.split(",") if args.methods else [*COMPOSITES, *METHODS]
    made = {}
    for method in methods:
        recorder = Recorder(with_ledger(classifier, ExplainConfig(method=method, batch_size=batch_size)))
        gather(recorder, rows)
        made[method] = recorder.entries
    return made


def show(kind: str, found: dict[str, dict[str, list]]) -> None:
    """The largest distances of a kind."""
    runs = [run for run in FLAGS if run not in ("as it is", "bfloat16")]
    print(f"\n| {kind} | {' | '.join(runs)} |\n|{'---|' * (len(runs) + 1)}")
    for method in found["as it is"]:
        cells = [f"{largest(kind, found[base_of(run)][method], found[run][method]):.1e}" for run in runs]
        print(f"| {method} | {' | '.join(cells)} |")


def base_of(run: str) -> str:
    """The run that a run is measured by; float64 itself by float32."""
    return "as it is" if run == "float64" else BASES[FLAGS[run][0]]


def largest(kind: str, old: Sequence[dict], new: Sequence[dict]) -> float:
    """The largest distance over texts that are predicted alike."""
    from autorel_jax.auditing.rounding import distance

    pairs = [(one["results"][0], two["results"][0]) for one, two in zip(old, new, strict=True)]
    return max(
        (distance(kind, *(numbers(kind, result) for result in pair)) for pair in pairs if alike(*pair)), default=0.0
    )


def alike(old: dict, new: dict) -> bool:
    """Whether both are of one target."""
    return old["target"] == new["target"]


def numbers(kind: str, result: dict) -> list:
    """The numbers of a kind in a result."""
    return list((result["ledger"] or {}).values()) if kind == "ledger" else result[kind]


if __name__ == "__main__":
    main()
