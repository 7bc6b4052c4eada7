"""Evaluation: many results -> what they say together.

    collection.py  records of results -> one Collection: the texts, and every score in flat arrays
    records.py     one record -> what it says of its model, labels and outputs
    words.py       a Collection -> statistics of words and n-grams, the one home of their formulas
    doubts.py      what to know of each explanation before trusting it
    compare.py     two Collections -> where they differ, text by text and word by word
    across.py      results of other texts -> how alike words do in both
    ranks.py       the correlation of ranks

Used by report/page. NumPy only: nothing here imports JAX.
"""
