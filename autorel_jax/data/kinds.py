"""Kinds: how a user names each kind of input. Used by sources.py, the readers and the help of cli/explain_flags.py."""

STDIN = "-"
STDIN_NAME = "standard input"
SUFFIXES = (".txt", ".tsv", ".csv", ".jsonl", ".parquet")  # of the files that are read
TFDS = "tfds:"  # before the name of a TensorFlow data set
HF = "hf:"  # before NAME or NAME:CONFIG of a Hugging Face data set
