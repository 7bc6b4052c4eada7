"""Layer-wise relevance propagation: rules (twins of the ops, with another backward) and composites of them.

`rules.py` holds a section for each kind of op; `bert_lrp.py` the rules of the original BERT_LRP; `composites.py`
says which rule stands for which op, by name. CONTRIBUTING.md says how to add a rule.
"""
