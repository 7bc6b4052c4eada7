"""Export: a classifier, a method and a target -> one file that explains without this package's model code."""
