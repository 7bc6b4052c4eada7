"""Attribution: a batch and its targets -> a score of every token, by LRP or another method.

method.py          what every method can do, and the Result that it gives
registry.py        a name -> the method
targets.py         what `target` accepts -> weights over the logits, or over functions of them
settings.py        what a compiled explanation depends on
scores.py          what is compiled: a batch -> a Result
targeted_batch.py  texts and targets as a method sees them
relevance.py       composites: the one jax.vjp
readouts.py        likewise, with relevance inside the model and what is absorbed
methods/           the other methods
"""
