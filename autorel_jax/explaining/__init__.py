"""Explaining: rows of text -> Explanations.

explainer.py  `explain` and Explainer: tokenize, resolve targets, compute, describe
compute.py    batches of tokens -> an Answer for each text
documents.py  a text that is longer than the model reads -> its Answer, from windows
describe.py   an Answer -> an Explanation for each target
shapes.py     the few shapes that batches are padded to
fitting.py    a batch that does not fit the memory -> its halves
usable.py     a row -> itself, or why it is left out
part.py       rows -> their explanations, of which none ends a run
config.py     ExplainConfig, the home of the defaults
"""
