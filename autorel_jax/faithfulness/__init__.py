"""Faithfulness: a classifier, methods and texts -> how well each method's scores predict what the classifier does.

evaluate.py   `evaluate`, the library call
run.py        rows -> an Evaluation, in chunks of texts
evaluator.py  of a chunk the targets, the scores, and what each protocol finds
config.py     EvaluateConfig, the home of the defaults
methods.py    what `methods` accepts -> an Explainer for each
cases.py      rows -> the texts that are measured, each with its units and its target
units.py      what the model reads of a text when some of its words are taken away
predict.py    token ids -> logits, in batches; the same ids once
asking.py     many measurements at once, each of which asks for the logits of parts of its text
protocols.py  the protocols by name, what their numbers mean; their formulas are in
    curves.py     units leave, or come in, one step after the other
    ranks.py      rank correlation with single deletions and with exact Shapley values
    shortcuts.py  planted words, which a model is made to follow
    people.py     agreement with what people marked
    naopc.py      normalised by the best and the worst order
counterfactual.py  a text and its changed copy: do scores tell the change
sanity.py     the model in disorder, and other variants: do scores change as they should
parts.py      what is done, in a file that a later run goes on with
intervals.py  numbers of texts -> means with intervals, and paired differences
results.py    an Evaluation: JSON and tables
plot.py       an Evaluation -> a picture

NumPy alone computes the formulas; only predict.py and the Explainers run a model.
"""
