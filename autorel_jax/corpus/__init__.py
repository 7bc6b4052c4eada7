"""Corpus: any number of rows -> one file of their explanations, in parts that survive a kill.

config.py holds the options; job.py writes the parts that parts.py makes here, or on_ray.py with many processes;
partial.py keeps finished parts until all are done; contents.py, formats.py, columns.py, nested.py and npz.py say what
a file holds.
"""
