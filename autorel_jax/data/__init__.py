"""Data: files -> a corpus of rows to explain (sources.py, rows.py), and splits to train on (tasks.py)."""

from autorel_jax.data.hf import HF
from autorel_jax.data.presets import named
from autorel_jax.data.rows import READERS, STDIN, Columns, Rejected, Row, read_rows
from autorel_jax.data.sources import TFDS, Corpus, is_source, of_texts, open_corpus, reject
from autorel_jax.data.summary import summary
from autorel_jax.data.tasks import Split, read_split, read_splits, settle

__all__ = [
    "HF",
    "READERS",
    "STDIN",
    "TFDS",
    "Columns",
    "Corpus",
    "Rejected",
    "Row",
    "Split",
    "is_source",
    "named",
    "of_texts",
    "open_corpus",
    "read_rows",
    "read_split",
    "read_splits",
    "reject",
    "settle",
    "summary",
]
