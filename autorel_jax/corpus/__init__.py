"""Corpus: any number of rows -> one file of their explanations, in parts that survive a kill.

job.py reads, explains and writes part after part; partial.py keeps what is done until all is; formats.py and
columns.py say what a file holds.
"""
