"""Data: files and data sets -> rows to explain (sources.py, rows.py), splits to train on (splits.py)."""
