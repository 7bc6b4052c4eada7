"""Everything that a GPU should be asked, in one command of at most 8 minutes, from a checkout, without a network.

    PYTHONPATH=. python benchmarks/gpu.py --output DIR [--parts checks,explain] [--device cpu --small]

It needs jax with CUDA, flax, optax, orbax-checkpoint, torch, transformers, tokenizers, pyarrow, safetensors, rich and
pytest. DIR gets a .json for each part, results.json and table.md. Each part is a process of its own, the most valuable
first; what fails or finds no time is said, and what is there already is not computed again: the same command goes on.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gpu_record import Record

PARTS = {  # name -> seconds that it may take, the most valuable part first
    "checks": 80,
    "explain": 110,
    "resume": 50,
    "torch_explain": 60,
    "training": 60,
    "memory": 40,
    "corpus": 45,
}
GRACE = 5  # seconds beyond, before a part that hangs is killed
LAST = 15  # seconds before its end in which a part begins nothing more: about what an item takes


def main() -> int:
    """Runs the parts; the exit code says whether any item failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="a folder")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--small", action="store_true", help="tiny models and few rows: does the script work?")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    if args.part:
        run_part(args)
        return 0
    for part in args.parts.split(","):
        if part not in PARTS:
            parser.error(f"there is no part {part!r}; parts: {', '.join(PARTS)}")
    for part in args.parts.split(","):
        start_part(part, args)
    return conclude(args.output)


def start_part(part: str, args: argparse.Namespace) -> None:
    """Runs a part in a process of its own, unless it is there already."""
    path = args.output / f"{part}.json"
    if path.exists() and json.loads(path.read_text())["finished"]:
        print(f"{part}: there already")
        return
    flags = ["--output", str(args.output), "--device", args.device, "--part", part]
    command = [sys.executable, __file__, *flags, *(["--small"] if args.small else [])]
    begun = time.monotonic()
    try:
        done = subprocess.run(command, env=environment(part, args.device), timeout=limit(part, args) + GRACE)
        how = f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        how = "killed, it took too long"
    print(f"{part}: {how}, {time.monotonic() - begun:.0f} s", flush=True)


def limit(part: str, args: argparse.Namespace) -> float:
    """Seconds that a part may take; what a CPU does in them says nothing."""
    return PARTS[part] * (20 if args.device == "cpu" else 1)


def environment(part: str, device: str) -> dict[str, str]:
    """Variables that have to be set before JAX is imported."""
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    made = os.environ | {"PYTHONPATH": paths, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    made["JAX_PLATFORMS"] = "cpu" if device == "cpu" else "cuda,cpu"
    if part == "resume" and device == "gpu":
        made["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
    return made


def run_part(args: argparse.Namespace) -> None:
    """One part, here."""
    deadline = time.monotonic() + limit(args.part, args) - LAST
    import gpu_checks
    import gpu_host
    import gpu_speed
    import gpu_torch
    import gpu_training

    parts = {
        "checks": gpu_checks.checks,
        "resume": gpu_checks.resume,
        "explain": gpu_speed.explain,
        "torch_explain": gpu_torch.explain,
        "training": gpu_training.training,
        "memory": gpu_speed.memory,
        "corpus": gpu_host.corpus,
    }
    record = Record(args.output / f"{args.part}.json", args.small, deadline)
    record.item("machine", gpu_speed.machine)
    parts[args.part](record)
    record.finish()


def conclude(folder: Path) -> int:
    """Writes results.json and table.md; 1 where an item failed."""
    found = {part: json.loads(path.read_text()) for part in PARTS if (path := folder / f"{part}.json").exists()}
    (folder / "results.json").write_text(json.dumps(found, indent=1))
    lines = list(table(found))
    (folder / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return int(any("error" in item for part in found.values() for item in part["items"].values()))


def table(found: dict[str, Any]) -> Iterator[str]:
    """Markdown: a table for each part."""
    for part, record in found.items():
        yield f"\n## {part}{'' if record['finished'] else ' (not finished)'}\n"
        yield "| item | result |\n|---|---|"
        for name, item in record["items"].items():
            shown = ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in item.items()
            )
            yield f"| {name} | {shown.replace('|', '/').replace(chr(10), ' ')} |"


if __name__ == "__main__":
    sys.exit(main())
