"""A corpus end to end on a device, and the host's part of it alone: which of the two is the limit?"""

import os
from typing import Any

from gpu_record import Record
from host import host_seconds, job_seconds
from memory import random_classifier

from autorel_jax import load
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.explaining.explainer import Explainer

FEW, MANY = 4096, 100_000  # rows


def corpus(record: Record) -> None:
    """Part (e): generated texts through the built-in model into Parquet."""
    few, many = (16, 32) if record.small else (FEW, MANY)
    found = record.item(f"{few} rows without a model", lambda: rate(few, *host_seconds(few)))
    explainer = Explainer(random_classifier() if record.small else load(), ExplainConfig())
    whole = record.item(f"{few} rows", lambda: rate(few, *job_seconds(explainer, few)))
    again = record.item(f"{few} rows, programs compiled", lambda: rate(few, *job_seconds(explainer, few)))
    if {"rows_per_s"} <= found.keys() & whole.keys() & again.keys():
        fits = record.small or many / again["rows_per_s"] < record.seconds_left
        rows = many if fits else few * max(1, int(record.seconds_left * again["rows_per_s"] / few / 1.2))
        record.item(f"{many} rows", lambda: {"rows": rows, **rate(rows, *job_seconds(explainer, rows))})


def rate(rows: int, seconds: float, busy: float) -> dict[str, Any]:
    """Rows a second, and how long the processors worked."""
    return {"rows_per_s": rows / seconds, "seconds": seconds, "processor_s": busy, "cores": os.cpu_count()}
