"""Families: a `model_type` of config.json -> the facts of its family. One line here for each family."""

from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.albert import ALBERT
from autorel_jax.families.bert import BERT
from autorel_jax.families.deberta import DEBERTA
from autorel_jax.families.distilbert import DISTILBERT
from autorel_jax.families.electra import ELECTRA
from autorel_jax.families.family import Family
from autorel_jax.families.modernbert import MODERNBERT
from autorel_jax.families.mpnet import MPNET
from autorel_jax.families.roberta import CAMEMBERT, ROBERTA, XLM_ROBERTA

FAMILIES: dict[str, Family] = {
    **dict.fromkeys(BERT.model_types, BERT),
    **dict.fromkeys(ROBERTA.model_types, ROBERTA),
    **dict.fromkeys(XLM_ROBERTA.model_types, XLM_ROBERTA),
    **dict.fromkeys(CAMEMBERT.model_types, CAMEMBERT),
    **dict.fromkeys(DISTILBERT.model_types, DISTILBERT),
    **dict.fromkeys(ELECTRA.model_types, ELECTRA),
    **dict.fromkeys(DEBERTA.model_types, DEBERTA),
    **dict.fromkeys(MPNET.model_types, MPNET),
    **dict.fromkeys(MODERNBERT.model_types, MODERNBERT),
    **dict.fromkeys(ALBERT.model_types, ALBERT),
}


def family_of(model_type: Any) -> Family:
    """The family of that model_type, or an InputError that names those that are supported."""
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        accepted = ", ".join(map(repr, FAMILIES))
        raise InputError(f"model_type={model_type!r} is not supported; accepted: {accepted}.")
    return FAMILIES[model_type]
