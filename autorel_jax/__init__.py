"""autorel_jax: which words made a text classifier decide. Layer-wise relevance propagation as one `jax.vjp`.

    import autorel_jax as ar
    classifier = ar.load("path-or-hub-id")
    explanations = ar.explain(classifier, ["a gorgeous, witty, seductive movie."])

Names are imported when they are first used, so that `import autorel_jax` itself costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

NAMES = {  # public name -> the module that it lives in
    "Bert": "autorel_jax.model.encoder",
    "BertConfig": "autorel_jax.model.config",
    "Classifier": "autorel_jax.classifier",
    "COMPOSITES": "autorel_jax.lrp.composites",
    "Composite": "autorel_jax.lrp.composites",
    "EvaluateConfig": "autorel_jax.faithfulness.config",
    "Evaluation": "autorel_jax.faithfulness.results",
    "Explainer": "autorel_jax.explaining.explainer",
    "ExplainConfig": "autorel_jax.explaining.config",
    "Explanation": "autorel_jax.report.explanation",
    "InputError": "autorel_jax.errors",
    "InputWarning": "autorel_jax.errors",
    "METHODS": "autorel_jax.attribution.methods",
    "attribute": "autorel_jax.attribution.relevance",
    "compare_words": "autorel_jax.evaluation.across",
    "diff": "autorel_jax.auditing.two_models",
    "evaluate": "autorel_jax.faithfulness.evaluate",
    "explain": "autorel_jax.explaining.explainer",
    "explain_corpus": "autorel_jax.corpus.job",
    "load": "autorel_jax.classifier",
    "load_program": "autorel_jax.export.program",
    "open_corpus": "autorel_jax.data.sources",
    "predict": "autorel_jax.faithfulness.predict",
    "rank": "autorel_jax.explaining.ranking",
    "read_results": "autorel_jax.report.saved",
    "register": "autorel_jax.lrp.composites",
    "save_report": "autorel_jax.report.page.save",
    "TaskConfig": "autorel_jax.data.task",
    "train": "autorel_jax.training.run",
    "similarity": "autorel_jax.explaining.similarity",
    "TrainConfig": "autorel_jax.training.config",
    "versus": "autorel_jax.report.versus",
}
__all__ = ["__version__", *NAMES]


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(NAMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
