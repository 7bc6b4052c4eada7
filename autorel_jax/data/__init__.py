"""Data: files -> rows to explain (rows.py), and a task's files -> splits to train on (tasks.py)."""

from autorel_jax.data.presets import named
from autorel_jax.data.rows import READERS, STDIN, Row, read_rows
from autorel_jax.data.summary import summary
from autorel_jax.data.tasks import Split, read_split, settle

__all__ = ["READERS", "STDIN", "Row", "Split", "named", "read_rows", "read_split", "settle", "summary"]
