"""Auditing: classifiers, texts and limits -> what can be checked later, and what holds or does not.

verdict.py is the shared piece: findings, their lines, exit codes and JUnit XML.

check.py      texts and a Policy -> which of its limits hold
policy.py     a TOML file -> a Policy
phrases.py    where a text holds a user's words and phrases
swaps.py      a text with the words of pairs exchanged
reading.py    rows -> different texts with their Explanations; what changed texts are predicted as
lines.py      what was found, for a terminal
pages.py      and for a browser; page.py writes the file
"""
