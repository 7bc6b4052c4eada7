"""autorel_jax: which words made a BERT classifier decide. Layer-wise relevance propagation as one `jax.vjp`.

    import autorel_jax as ar
    classifier = ar.load("path-or-hub-id")
    explanations = ar.explain(classifier, ["a gorgeous, witty, seductive movie."])

Names are imported when they are first used, so that `import autorel_jax` itself costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

NAMES = {  # public name -> the module that it lives in
    "Bert": "autorel_jax.bert",
    "BertConfig": "autorel_jax.config",
    "Classifier": "autorel_jax.classifier",
    "COMPOSITES": "autorel_jax.lrp.composites",
    "Composite": "autorel_jax.lrp.composites",
    "Explainer": "autorel_jax.explainer",
    "ExplainConfig": "autorel_jax.config",
    "Explanation": "autorel_jax.explanation",
    "InputError": "autorel_jax.errors",
    "METHODS": "autorel_jax.methods",
    "attribute": "autorel_jax.relevance",
    "explain": "autorel_jax.explainer",
    "explain_corpus": "autorel_jax.corpus",
    "load": "autorel_jax.classifier",
    "load_program": "autorel_jax.program",
    "open_corpus": "autorel_jax.data",
    "register": "autorel_jax.lrp.composites",
    "TaskConfig": "autorel_jax.train_config",
    "train": "autorel_jax.training",
    "TrainConfig": "autorel_jax.train_config",
}
__all__ = ["__version__", *NAMES]


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
