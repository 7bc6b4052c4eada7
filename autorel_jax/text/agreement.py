"""Agreement: tokenizer.json beside the settings and the family -> an InputError where they contradict each other.

tokenizer.json says how text is split, the settings may say it again, and the family says where special tokens stand.
Used by tokenizer.py.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.family import UNIGRAM, Family, TokenFacts
from autorel_jax.text.classes import GENERIC, TokenizerClass, own_class
from autorel_jax.text.layout import has_types, lay, one_type
from autorel_jax.text.normalizing import lowers, silent_setting
from autorel_jax.text.settings import CONFIG, TYPES, Settings

PROBE = "a"  # a text of one token in any vocabulary


def _strips(model: Any) -> bool:
    return model.normalizer is not None and model.normalizer.normalize_str("é") == "e"


def _prefixes(model: Any) -> bool:
    return model.pre_tokenizer.pre_tokenize_str(PROBE)[0][0] != PROBE


def _splits(model: Any) -> bool:
    return len(model.pre_tokenizer.pre_tokenize_str("a.a")) > 1


SHOWN: Mapping[str, Callable[[Any], bool]] = {  # setting -> whether a pipeline does what it says
    "do_lower_case": lowers,
    "keep_accents": lambda model: not _strips(model),
    "strip_accents": _strips,
    "add_prefix_space": _prefixes,
    "split_by_punct": _splits,
}


def check_pipeline(model: Any, source: Path, settings: Settings, known: TokenizerClass) -> Iterator[str]:
    """A warning where tokenizer.json does another thing than the class does without a setting.

    Raises:
      InputError: it does another thing than a setting says.
    """
    for key, default in known.settings.items():
        said, shows = settings.flag(key, None), SHOWN.get(key)
        prefix = key == "add_prefix_space"
        if shows is None or (prefix and (known.kind != UNIGRAM or model.pre_tokenizer is None)):
            continue
        done = shows(model)
        if said is None and default not in (None, done):
            yield silent_setting(key, done, default)
        if said not in (None, done):
            raise InputError(
                f"{source.parent}: {CONFIG} says {key} {str(said).lower()}, but {source.name} does the opposite. "
                f"Repair the one that is wrong, or give {source.name} itself (vocab, --vocab), which then counts alone."
            )


def check_bounds(settings: Settings, special: Mapping[str, str], family: Family) -> None:
    """Raises InputError where texts would begin or end with another token than <s> and </s> of the family."""
    for bound, role in (("bos_token", "cls_token"), ("eos_token", "sep_token")):
        named = settings.token(bound)
        if named not in (None, special[role]) and family.tokens.kind == UNIGRAM:
            raise InputError(
                f"{CONFIG} names {named!r} the {bound} and {special[role]!r} the {role}; {family.name} needs one "
                "token for both."
            )


def as_the_file(model: Any, source: Path, special: Mapping[str, str], facts: TokenFacts, family: Family) -> TokenFacts:
    """The facts, with the segment ids of a tokenizer.json that is taken as it is.

    Raises:
      InputError: it puts other special tokens around texts than the family.
    """
    ids = {role: [model.token_to_id(token)] for role, token in special.items()}
    alike = True
    for template, texts in ((facts.single, [PROBE]), (facts.pair, [PROBE, PROBE])):
        found = model.encode(*texts)
        parts = [model.encode(text, add_special_tokens=False).ids for text in texts]
        laid = lay(template, parts, ids)
        expected = [number for part, _, _ in laid for number in part]
        if found.ids != expected:
            pieces = " ".join(map(str, map(model.id_to_token, expected)))
            own = own_class(family)
            sets = "" if own in GENERIC else f", or name {own} the tokenizer_class in {CONFIG}, which sets it"
            raise InputError(
                f"{source} reads a text as {' '.join(found.tokens)!r}, {family.name} as {pieces!r}. Set its "
                f"post_processor right{sets}."
            )
        types = [segment for part, segment, _ in laid for _ in part]
        if not has_types(facts.pair):
            continue
        if any(found.type_ids) and found.type_ids != types:
            raise InputError(f"{source} gives a pair the segment ids {found.type_ids}, {family.name} has {types}.")
        alike = alike and found.type_ids == types
    return facts if alike else without_types(facts)


def with_types(
    facts: TokenFacts, settings: Settings, known: TokenizerClass | None
) -> tuple[TokenFacts, tuple[str, ...]]:
    """The facts, without segment ids where the files or their class hand the model none; and a warning."""
    if not has_types(facts.pair) or settings.types:
        return facts, ()
    if settings.types is None and known:
        warning = (
            f"{CONFIG} has no model_input_names: the segment ids of pairs are 0 and 1, as in transformers 4; "
            f"transformers 5 has 0, which model_input_names without {TYPES!r} says"
        )
        return (facts if known.types else without_types(facts)), () if known.types_in_5 else (warning,)
    if settings.types is None:
        warning = (
            f"{CONFIG} has no model_input_names: the segment ids of pairs are 0, as in transformers 5; transformers 4 "
            f"had 0 and 1, which {TYPES!r} in model_input_names says"
        )
        return without_types(facts), (warning,)
    return without_types(facts), ()


def without_types(facts: TokenFacts) -> TokenFacts:
    """The same layout with segment id 0 everywhere."""
    return dataclasses.replace(facts, single=one_type(facts.single), pair=one_type(facts.pair))
