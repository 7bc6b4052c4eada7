"""Files of our own in a folder of inputs: by-products by their names, outputs by what is in them.

Used by sources.py, corpus/ and cli/; corpus/columns.py marks a .parquet file as an output.
"""

import json
from pathlib import Path

from autorel_jax.data.lines import LONGEST

PARTIAL, REJECTED, FOUND = BY_PRODUCTS = (".partial", ".rejected.jsonl", ".parts.jsonl")  # after an output's name
MARK = "autorel_jax"  # in the metadata of a .parquet file that is an output


def partial_of(output: Path) -> Path:
    """The folder of the work in progress of an output."""
    return output.with_name(f"{output.name}{PARTIAL}")


def rejected_of(output: Path) -> Path:
    """The file of the rows that were left out of an output."""
    return output.with_name(f"{output.name}{REJECTED}")


def found_of(output: Path) -> Path:
    """The file of what an evaluation found, which a later one goes on from."""
    return output.with_name(f"{output.name}{FOUND}")


def is_by_product(path: Path) -> bool:
    """Whether a file is hidden, or a by-product of an output."""
    return any(part.startswith(".") or part.endswith(BY_PRODUCTS) for part in path.parts if part not in (".", ".."))


def is_output(path: Path) -> bool:
    """Whether a .jsonl or .parquet file is an output; it is none if it cannot be read.

    A .jsonl is known by `schema`, `version` and `model` in its first line, which it has if no columns were chosen.
    """
    try:
        return {".jsonl": _is_jsonl, ".parquet": _is_parquet}.get(path.suffix.lower(), _is_none)(path)
    except OSError:
        return False


def _is_jsonl(path: Path) -> bool:
    with open(path, "rb") as stream:
        line = stream.readline(LONGEST)
    if b'"weights_sha256"' not in line:  # most lines of others need no parser
        return False
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    model = record.get("model") if isinstance(record, dict) else None
    return isinstance(model, dict) and "weights_sha256" in model and {"schema", "version"} <= record.keys()


def _is_parquet(path: Path) -> bool:
    import pyarrow
    from pyarrow import parquet

    try:
        with open(path, "rb") as stream:
            return MARK.encode() in (parquet.read_metadata(stream).metadata or {})
    except pyarrow.ArrowException:
        return False


def _is_none(path: Path) -> bool:
    return False
