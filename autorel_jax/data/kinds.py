"""Kinds: how a user names each kind of input. Used by sources.py, the readers and the help of cli/explain_flags.py."""

import os
from pathlib import Path

STDIN = "-"
STDIN_NAME = "standard input"
BY_SUFFIX = {  # of the files that are read -> the format, a name in data/tables.py, or text: one text a line
    ".txt": "text",
    ".tsv": "tsv",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
}
SUFFIXES = tuple(BY_SUFFIX)
IN_FOLDERS = tuple(suffix for suffix in SUFFIXES if suffix != ".json")  # where a .json is mostly about something else
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")  # after the suffix
TFDS = "tfds:"  # before the name of a TensorFlow data set
HF = "hf:"  # before NAME or NAME:CONFIG of a Hugging Face data set
INSTEAD = {  # of files that are not read -> what to do
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as .csv"),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".7z"), "unpack it first"),
    **dict.fromkeys((".feather", ".arrow", ".orc", ".pkl", ".pickle", ".h5"), "write it as .parquet"),
}


def located(file: str, number: int) -> str:
    """A file or data set and the place of a row in it, for messages."""
    kind = "text" if file == STDIN_NAME else BY_SUFFIX.get(suffix_of(file))
    return f"{file}, {'item' if kind == 'json' else 'row' if kind in (None, 'parquet') else 'line'} {number}"


def suffix_of(name: str | os.PathLike[str]) -> str:
    """The suffix of a file's name in small letters, of a compressed one the suffix before that."""
    path = Path(name)
    return Path(path.stem if path.suffix.lower() in COMPRESSED else path).suffix.lower()
