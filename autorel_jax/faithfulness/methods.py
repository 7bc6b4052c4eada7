"""Methods: what `methods` accepts -> an Explainer for each, by its name in the results. Used by evaluator.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autorel_jax.attribution.methods.coalitions import Perturbation
from autorel_jax.attribution.registry import named
from autorel_jax.classifier import Classifier
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import WINDOWS, ExplainConfig
from autorel_jax.explaining.explainer import Explainer
from autorel_jax.explaining.references import NO_REFERENCES
from autorel_jax.faithfulness.config import DEFAULT, RANDOM, EvaluateConfig
from autorel_jax.options import assigned


def explainers(classifier: Classifier, config: EvaluateConfig) -> dict[str, Explainer]:
    """The name of each method in the results -> what computes it, with those of comparison, in the order given.

    Raises:
      InputError: an unknown method or parameter, or two methods of one name.
    """
    made: dict[str, Explainer] = {}
    for given in config.methods:
        name = given if isinstance(given, str) else getattr(given, "name", repr(given))
        if name in made:
            raise InputError(
                f"methods: {name} is there twice; give each once, a composite with parameters as NAME:P=V."
            )
        is_other = not isinstance(given, str) and name in (DEFAULT, RANDOM)
        if is_other and given.content() != named(name).content():
            raise InputError(
                f"methods: {name} is what others are compared with, but another is given under its name; give it as "
                "NAME:PARAMETER=VALUE, or derive one of another name."
            )
        made[name] = explainer(classifier, given, config)
    for name in (DEFAULT, RANDOM):
        if name not in made:
            made[name] = explainer(classifier, name, config)
    return made


def check_methods(config: EvaluateConfig) -> None:
    """Raises InputError for an unknown method or parameter, or references in vain, before there is a model."""
    contrasts = False
    for given in config.methods:
        method, parameters = parsed(given) if isinstance(given, str) else (given, {})
        parameters.pop("read_at", None)
        contrasts |= named(method).set(parameters).contrasts
    if contrasts and not config.references:
        raise InputError(NO_REFERENCES)
    if config.references and not contrasts:
        raise InputError("references are of contrast_cat, which is not among the methods; leave them out, or add it.")


def explainer(classifier: Classifier, given: Any, config: EvaluateConfig) -> Explainer:
    """The Explainer of a method, a name with parameters or a Method itself."""
    method, parameters = parsed(given) if isinstance(given, str) else (given, {})
    read_at = parameters.pop("read_at", None)
    method = named(method)
    if isinstance(method, Perturbation) and isinstance(given, str):
        parameters = {"unit": config.units} | parameters  # the units that are measured
    return Explainer(
        classifier,
        ExplainConfig(
            method=method,
            parameters=parameters,
            read_at=read_at,
            references=config.references if method.contrasts else (),
            max_length=config.max_length,
            batch_size=config.batch_size,
            long=config.long,
            split_words=config.split_words,
            split_punctuation=config.split_punctuation,
        ),
    )


def parsed(text: str) -> tuple[str, dict[str, Any]]:
    """`lime:samples=50:seed=1` -> ("lime", {"samples": 50.0, "seed": 1.0}); an InputError says what is wrong."""
    name, *assignments = text.split(":")
    try:
        return name, dict(map(assigned, assignments))
    except ValueError as error:
        raise InputError(f"methods: {text!r}: {error}; give NAME or NAME:PARAMETER=VALUE:…") from None


def looks_at_deletions(explainer: Explainer) -> bool:
    """Whether the method itself takes words away, so that measures which do the same are its own game."""
    return isinstance(explainer.method, Perturbation)


def identity(explainer: Explainer) -> str:
    """All that makes the method's scores, as JSON."""
    windows = [explainer.max_length] if explainer.config.long == WINDOWS else []
    return json.dumps([explainer.method.content(), explainer.parameters, *windows], default=repr, sort_keys=True)


def record(explainer: Explainer) -> Mapping[str, Any]:
    """The method for the results."""
    return {
        "name": explainer.method.name,
        "parameters": explainer.parameters,
        "looks_at_deletions": looks_at_deletions(explainer),
    }
