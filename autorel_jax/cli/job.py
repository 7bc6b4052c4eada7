"""Job: --output that is a file of rows -> the checks before the model is loaded, and the call that writes the file.

Used by explain.py, whose parsed flags are `args` here.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from autorel_jax.cli.command import note, tell, warn
from autorel_jax.cli.ending import doubt_of_labels, how_to_see, rows_line, words_of_output
from autorel_jax.cli.flags import given_fields
from autorel_jax.corpus.config import LOCAL, RAY, JobConfig
from autorel_jax.data.by_products import partial_of, rejected_of
from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError

if TYPE_CHECKING:
    from autorel_jax.explaining.config import ExplainConfig
    from autorel_jax.explaining.explainer import Explainer


def job_config(args: argparse.Namespace, config: ExplainConfig, corpus: Corpus) -> JobConfig:
    """The flags as JobConfig; refuses early what the job would refuse late, and starts Ray."""
    from autorel_jax.corpus.contents import Contents
    from autorel_jax.corpus.formats import FORMATS, SUFFIX
    from autorel_jax.files import writable
    from autorel_jax.report.output import WRITERS

    suffix = args.output.suffix.lower() or SUFFIX
    if suffix not in FORMATS:
        accepted = ", ".join(dict.fromkeys([*FORMATS, *WRITERS]))
        raise InputError(f"--output {args.output}: cannot write {suffix}; accepted: {accepted}.")
    writable(args.output)
    job = JobConfig(**given_fields(args, JobConfig))
    job.check_corpus(corpus)
    FORMATS[suffix](Contents(job.columns, args.keep_columns, job.level, audit=config.audit, readouts=config.readouts))
    if job.engine == RAY:
        begin_ray(args, job.workers)
    if not corpus.again:
        once = ", ".join(source.name for source in corpus.sources if not source.again)
        note(args, f"{once} cannot be read again: if this run is interrupted, it has to begin anew")
    return job


def begin_ray(args: argparse.Namespace, workers: int | None) -> None:
    """Starts Ray before JAX computes, so that it can fork; it ends with this process, which computes little itself."""
    from autorel_jax.corpus import on_ray

    if args.device or args.devices:
        raise InputError(f"--device and --devices are for the engine {LOCAL}; Ray gives its workers theirs.")
    if args.threads is not None:
        raise InputError(f"--threads is for the engine {LOCAL}; Ray gives its workers their cores.")
    ray = on_ray.package()
    if not ray.is_initialized():
        on_ray.connect(ray)
    on_ray.room(ray, workers)
    # JAX would take three quarters of the first GPU for this process, which a worker needs. After Ray has started, so
    # that the workers of this machine do as the user says.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def write_job(
    args: argparse.Namespace,
    explainer: Explainer,
    corpus: Corpus,
    job: JobConfig,
    progress: Callable[[int], object],
) -> int:
    """Writes --output in parts, and says what became of the rows; returns the exit code."""
    from autorel_jax.corpus.job import run_job

    folder = partial_of(Path(os.path.realpath(args.output)))
    try:
        summary = run_job(explainer, corpus, args.output, job, progress)
    except (KeyboardInterrupt, SystemExit):
        if folder.exists():
            done = f"what is done is in {partial_of(args.output)}"
            tell(args.prog, f"interrupted; {done}, and the same command goes on from there")
        raise
    said = f"wrote {args.output}: {summary.rows} texts"
    if summary.resumed:
        said += f" ({summary.resumed} rows had been done before)"
    if summary.rejected:
        left_out = f"{summary.rejected} left out, see {rejected_of(args.output)} (the first: {summary.first})"
        said += f"; {left_out}"
        if args.quiet:
            warn(args.prog, [left_out])
    if summary.remade:
        warn(args.prog, [f"parts in {folder.name} vanished or were damaged during the run, and were made again"])
    warn(args.prog, doubt_of_labels(summary.unknown, summary.rows, summary.example))
    if not args.quiet:
        total = rows_line(summary.read, summary.rows, summary.rejected, summary.labelled, summary.right)
        for line in (total, *words_of_output(args), said + how_to_see(args)):
            tell(args.prog, line)
    return int(args.strict and summary.rejected > 0)
