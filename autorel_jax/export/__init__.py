"""Export: a classifier, a method and a target -> one file that explains without Flax.

write.py makes it, program.py reads it.
"""
