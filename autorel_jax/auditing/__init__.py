"""Auditing: classifiers, texts and limits -> what can be checked later, and what holds or does not.

verdict.py is the shared piece: findings, their lines, exit codes and JUnit XML.

record.py       an Explainer and rows -> a record: record_facts.py (model and question), record_entries.py (texts)
record_file.py  a record and its .json, whose parts json_shape.py checks
verify.py       a record and a classifier -> record_differences.py, with the bounds of rounding.py

two_models.py   two Explainers and rows -> the results of each; `ar.diff`
diff.py         these, or two files of results (diff_results.py) -> a Diff: diff_decisions.py (labels), diff_changes.py,
                diff_alignment.py (words of two tokenizers)
diff_limits.py  what may change -> findings; diff_lines.py has the lines for a terminal

check.py        texts and a Policy -> which of its limits hold
policy.py       a TOML file -> a Policy
phrases.py      where a text holds a user's words and phrases
swaps.py        a text with the words of pairs exchanged
reading.py      rows -> different texts with their Explanations; what changed texts are predicted as

shortcuts.py    labelled texts -> words that decide without being a reason, by shortcuts_config.py
units.py        a text's words and marks, with their shares of the relevance
forms.py        what may be a shortcut: where it is in a text, and the text without it or with it
candidates.py   which of them to test
trials.py       deleting and inserting them
kinds.py        punctuation, ids, sources and templates by their names

terminal.py     what check.py and shortcuts.py found, for a terminal
browser.py      and for a browser; page.py writes the file
"""
