"""Corpus: any number of rows -> one file of their explanations, in parts that survive a kill.

`explain_corpus` reads, explains and writes part after part (job.py); partial.py keeps what is done until all is;
formats.py and columns.py say what a file holds. Used by cli/explain.py.
"""

from autorel_jax.corpus.formats import FORMATS, SUFFIX
from autorel_jax.corpus.job import PART_ROWS, Summary, explain_corpus

__all__ = ["FORMATS", "PART_ROWS", "SUFFIX", "Summary", "explain_corpus"]
