"""Output of the explain command: explanations -> the terminal or a page, one by one, or a file, in parts.

Used by explain.py, whose parsed flags are `args` here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autorel_jax.corpus.engines import LOCAL, RAY
from autorel_jax.data.rows import Rejected, Row
from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError, check_count

if TYPE_CHECKING:
    from autorel_jax.explaining.explainer import Explainer
    from autorel_jax.report.explanation import Explanation

Progress = Callable[[int], object]  # is given the number of rows that were finished since the last call


def is_job(args: argparse.Namespace) -> bool:
    """Whether the output is a file that is made in parts: no page, and no pipe or device."""
    return args.output is not None and args.output.suffix.lower() != ".html" and not is_pipe(args.output)


def is_pipe(path: Path) -> bool:
    """Whether there is a pipe or a device."""
    try:
        kind = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def check_job(args: argparse.Namespace, corpus: Corpus) -> None:
    """Refuses early what `explain_corpus` would refuse late."""
    from autorel_jax.corpus.contents import Contents
    from autorel_jax.corpus.formats import FORMATS, SUFFIX
    from autorel_jax.corpus.job import check_engine, check_shard
    from autorel_jax.report.output import WRITERS, checked

    suffix = args.output.suffix.lower() or SUFFIX
    if suffix not in FORMATS:
        accepted = ", ".join(dict.fromkeys([*FORMATS, *WRITERS]))
        raise InputError(f"--output {args.output}: cannot write {suffix}; accepted: {accepted}.")
    checked(args.output)
    check_engine(args.engine, args.workers)
    check_shard(corpus, args.shard)
    if args.part_rows is not None:
        check_count("part_rows", args.part_rows)
    FORMATS[suffix](
        Contents(args.columns, args.keep_columns, args.level, audit=args.audit, readouts=args.readout or ())
    )
    if args.engine == RAY:
        begin_ray(args, corpus)
    if not corpus.again:
        print(
            f"{args.prog}: standard input cannot be read again: if this run is interrupted, it has to begin anew",
            file=sys.stderr,
        )


def begin_ray(args: argparse.Namespace, corpus: Corpus) -> None:
    """Starts Ray before JAX computes, so that it can fork; it ends with this process, which computes little itself."""
    from autorel_jax.corpus import on_ray

    if args.device or args.devices:
        raise InputError(f"--device and --devices are for the engine {LOCAL}; Ray gives its workers theirs.")
    on_ray.check_again(corpus)
    ray = on_ray.package()
    if not ray.is_initialized():
        on_ray.connect(ray)
    on_ray.room(ray, args.workers)
    # JAX would take three quarters of the first GPU for this process, which a worker needs. After Ray has started, so
    # that the workers of this machine do as the user says.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def run_job(args: argparse.Namespace, explainer: Explainer, corpus: Corpus, progress: Progress) -> int:
    """Writes --output in parts, and says what became of the rows."""
    from autorel_jax.corpus.job import PART_ROWS, explain_corpus
    from autorel_jax.corpus.partial import folder_of, rejected_of

    target = Path(os.path.realpath(args.output))
    try:
        made = explain_corpus(
            explainer,
            corpus,
            args.output,
            columns=args.columns,
            level=args.level,
            shard=args.shard,
            part_rows=PART_ROWS if args.part_rows is None else args.part_rows,
            restart=args.restart,
            engine=args.engine,
            workers=args.workers,
            progress=progress,
        )
    except (KeyboardInterrupt, SystemExit):
        if folder_of(target).exists():
            done = f"what is done is in {folder_of(args.output)}"
            print(f"{args.prog}: interrupted; {done}, and the same command goes on from there", file=sys.stderr)
        raise
    said = f"wrote {args.output}: {made.rows} texts"
    if made.resumed:
        said += f" ({made.resumed} rows had been done before)"
    if made.rejected:
        said += f"; {made.rejected} left out, see {rejected_of(args.output)} (the first: {made.first})"
    print(f"{args.prog}: {said}", file=sys.stderr)
    return int(args.strict and made.rejected > 0)


def stream(
    args: argparse.Namespace,
    explainer: Explainer,
    corpus: Corpus,
    write: Callable[[Explanation], object],
    progress: Progress,
) -> int:
    """Writes one explanation after the other; what is left out is said on stderr."""
    from autorel_jax.corpus.job import none_usable
    from autorel_jax.corpus.part import usable
    from autorel_jax.corpus.partial import rejected_of, write_rejected

    left_out: list[Rejected] = []
    count = 0

    def rows() -> Iterator[Row]:
        for item in corpus.rows():
            item = usable(item, explainer) if isinstance(item, Row) else item
            if isinstance(item, Row):
                yield item
            else:
                left_out.append(item)
                print(f"{args.prog}: left out: {item}", file=sys.stderr)

    for explanation in explainer.explain(rows(), progress):
        write(explanation)
        count += 1
    if left_out and not count:
        raise none_usable(len(left_out), str(left_out[0]))
    if args.output:
        print(f"{args.prog}: wrote {args.output}", file=sys.stderr)
        if args.output.is_file():
            write_rejected(rejected_of(args.output), [item.record for item in left_out])
    return int(args.strict and len(left_out) > 0)


@contextlib.contextmanager
def opened(args: argparse.Namespace) -> Iterator[Callable[[Explanation], object]]:
    """The function that writes an explanation: on a page or into a pipe, or on the terminal."""
    from autorel_jax.corpus import nested as inside
    from autorel_jax.corpus.formats import FORMATS
    from autorel_jax.report.output import WRITERS, open_writer

    if args.columns or args.keep_columns or args.shard != (1, 1) or args.engine != LOCAL or args.workers is not None:
        raise InputError(
            f"--columns, --keep-columns, --shard, --engine and --workers are for an --output that is a file of rows: "
            f"{', '.join(FORMATS)}."
        )
    suffix = args.output.suffix.lower() if args.output else inside.TERMINAL
    piped = args.output is not None and is_pipe(args.output)
    for flag, asked, kind in (("--readout", args.readout, inside.READOUTS), ("--audit", args.audit, inside.LEDGER)):
        accepted = [name for name in inside.SHOWN_IN[kind] if name in WRITERS or not piped]
        if asked and suffix not in accepted:
            raise inside.not_in(flag, kind, accepted)
    if args.output:
        with open_writer(args.output, args.level) as write:
            yield write
    else:
        from autorel_jax.report.terminal import show

        yield lambda explanation: show(explanation, args.level, sys.stdout)


@contextlib.contextmanager
def progress_bar(args: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """Counts texts on stderr where that is a terminal; gone at the end where the result is on the terminal too."""
    from tqdm import tqdm

    shared = not args.output and sys.stdout.isatty()
    with tqdm(unit=" texts", disable=not sys.stderr.isatty(), file=sys.stderr, leave=not shared) as bar:
        yield bar.update
