"""Corpus: any number of rows -> one file of their explanations, in parts that survive a kill.

config.py holds the options; job.py writes the parts that parts.py makes here, or on_ray.py with many processes;
partial.py keeps what is done until all is; formats.py, columns.py and nested.py say what a file holds.
"""
