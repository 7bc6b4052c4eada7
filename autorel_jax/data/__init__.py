"""Data: files and data sets -> rows to explain (sources.py, rows.py), splits to train on (splits.py).

To train on files of your own, copy configs/example.toml; CONTRIBUTING.md says how to add a data set.
"""
