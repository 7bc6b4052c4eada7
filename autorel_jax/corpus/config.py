"""JobConfig: how a corpus is explained into a file. The one home of the defaults of `explain_corpus` and its flags.

Used by job.py and the explain command.
"""

import dataclasses
from collections.abc import Sequence

from autorel_jax.data.sources import Corpus
from autorel_jax.errors import InputError
from autorel_jax.options import check_options, option
from autorel_jax.report.view import LEVELS, WORD

LOCAL, RAY = ENGINES = ("local", "ray")  # what computes: this process, or Ray Data with many
PART_ROWS = 2048  # what a kill costs at most, and what is sorted by length together
PRECISION = ("jax_enable_x64", "jax_default_matmul_precision")  # settings of JAX that may change a number


@dataclasses.dataclass(frozen=True)
class JobConfig:
    """How a corpus is explained into a file."""

    columns: Sequence[str] = option((), "of the output (default: all; docs/output.md)")
    level: str = option(WORD, "of .csv", LEVELS)
    shard: tuple[int, int] = option((1, 1), "explain the I-th of N stretches of the input alone")
    part_rows: int = option(PART_ROWS, "rows that are finished and saved together", count=True)
    restart: bool = option(False, "begin anew where an interrupted run could be continued")
    engine: str = option(LOCAL, "what explains: this process, or Ray Data with many, on one machine or a cluster")
    workers: int | None = option(None, "processes of --engine ray (default: one for each GPU, else node)")

    def __post_init__(self):
        check_options(self)
        if self.engine not in ENGINES:
            raise InputError(f"Unknown engine {self.engine!r}. Available: {', '.join(ENGINES)}.")
        if isinstance(self.columns, str):
            raise InputError(f"columns={self.columns!r}: expected a list of names of columns.")
        if self.workers is not None and self.engine == LOCAL:
            raise InputError(
                f"workers={self.workers} is for the engine {RAY}; the engine {LOCAL} is this process alone."
            )
        if len(self.shard) != 2 or not 1 <= self.shard[0] <= self.shard[1]:
            shard = "/".join(map(str, self.shard))
            raise InputError(f"The shard {shard} does not exist; expected i/n with i from 1 to n.")

    def check_corpus(self, corpus: Corpus) -> None:
        """Raises InputError for a corpus that can be read once only, where it has to be read again."""
        if corpus.again:
            return
        if self.shard != (1, 1):
            raise InputError("Standard input and pipes cannot be divided into shards; give files.")
        if self.engine == RAY:
            raise InputError(
                "Standard input and pipes cannot be divided among workers; give files, or use the engine local."
            )
