"""Auditing: classifiers, texts and limits -> what can be checked later, and what holds or does not.

verdict.py is the shared piece: findings, their lines, exit codes and JUnit XML.

record.py       an Explainer and rows -> a record: facts.py (model and question), entries.py (texts)
record_file.py  a record and its .json, whose parts json_shape.py checks
both.py         two Explainers and rows -> the results of each; `ar.diff`
diff.py         these, or two files of results -> a Diff, by changes.py and alignment.py (words of two tokenizers)
limits.py       what may change -> findings; shown.py has the lines for a terminal
verify.py       a record and a classifier -> differences.py, with the bounds of rounding.py

check.py      texts and a Policy -> which of its limits hold
policy.py     a TOML file -> a Policy
phrases.py    where a text holds a user's words and phrases
swaps.py      a text with the words of pairs exchanged
reading.py    rows -> different texts with their Explanations; what changed texts are predicted as
shortcuts.py  labelled texts -> words that decide without being a reason, by config.py
units.py      a text's words and marks, with their shares of the relevance
forms.py      what may be a shortcut: where it is in a text, and the text without it or with it
candidates.py which of them to test
trials.py     deleting and inserting them
kinds.py      punctuation, ids, sources and templates by their names
lines.py      what was found, for a terminal
pages.py      and for a browser; page.py writes the file
"""
