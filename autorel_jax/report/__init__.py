"""Report: an Explanation -> what a person or a program reads.

    terminal.py  text on a stream, coloured where it is a terminal
    html.py      a fragment for notebooks, and a page (page.html)
    output.py    the files of `--output`: .jsonl, .csv, .html; their fields are in docs/output.md
    view.py      what all of them show: words with scores in reading order, and the numbers in print
    colour.py    score -> colour

Nothing is imported before it is used: rich and jinja2 cost a tenth of a second each.
"""
