"""Report: the Explanation, and what a person or a program reads of it.

    explanation.py     one text explained for one target; each field is declared with what it means (fields.py)
    results.py         what an Explanation and a list of them can become, by exchange.py and plot.py
    exchange.py        tables of pandas and polars, records of SHAP and Argilla
    plot.py            bars and heat maps by matplotlib
    ledger.py          where the target's value went
    terminal.py        text on a stream, coloured where it is a terminal
    html.py            a fragment for notebooks (fragment.html)
    page/              a page over many texts, for a browser
    output.py          the files of `--output`, one by one: .jsonl, .csv, .html
    saved.py           the way back: a .jsonl or .parquet of results -> records
    view.py            what all reports show: words with scores in reading order, and formatted numbers
    colour.py          score -> colour
    readout_shapes.py  the axes of each read-out
    json_values.py     arrays and tuples -> JSON's types

Nothing here imports JAX, and libraries are imported when they are used: rich and jinja2 cost a tenth of a second each,
matplotlib and pandas more.
"""
