"""Engines: what computes a corpus. Used by job.py and the explain command, which refuses an unknown one early."""

LOCAL, RAY = ENGINES = ("local", "ray")  # what computes a corpus: this process, or Ray Data with many
