"""Corpus: any number of rows -> one file of their explanations, in parts that survive a kill.

job.py reads, explains and writes part after part; partial.py keeps finished parts until all are done; contents.py,
formats.py, columns.py, nested.py and npz.py say what a file holds.
"""
