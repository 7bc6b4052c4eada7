"""Added tokens: the special tokens and those that files add -> registered in a `tokenizers.Tokenizer`.

So "[SEP]" in a text is one token, with the id and the flags that transformers gives it. Used by tokenizer.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import UNIGRAM, Family
from autorel_jax.text.classes import TokenizerClass
from autorel_jax.text.settings import CONFIG, ROLES, Added, Settings


def require(
    vocab: Mapping[str, int], path: Path, special: Mapping[str, str], family: Family, settings: Settings
) -> None:
    """Raises InputError where the vocabulary lacks a special token (role -> token) that the family needs."""
    needed = {role: token for role, token in special.items() if role not in family.tokens.optional}
    missing = [role for role, token in needed.items() if token not in vocab]
    if not missing:
        return
    chosen = [f"{needed[role]} ({role} in {settings.chooser(role)})" for role in missing if settings.chooser(role)]
    if chosen:
        raise InputError(f"{path} lacks {', '.join(chosen)}; correct one of the two files.")
    raise InputError(
        f"{path} lacks {', '.join(map(needed.get, missing))}, which {family.name} needs; give the vocabulary of a "
        f"{family.name} model, or name what it has instead in {CONFIG}: {', '.join(missing)}."
    )


def add_tokens(
    model: Any, source: Path, special: Mapping[str, str], settings: Settings, known: TokenizerClass | None
) -> None:
    """Registers the tokens with an id, then special tokens (role -> token), then others; `source` is the vocabulary.

    A special token that the vocabulary lacks is left out, so that no id lies beyond the embedding table; a model of
    SentencePiece may lack <mask> or [MASK], which stands after its last piece.

    Raises:
      InputError: a token would get another id than a file says, or the declarations are malformed.
    """
    from tokenizers import AddedToken

    in_file = {token.content for token in model.get_added_tokens_decoder().values()}
    from_json, declared_flags = source.name == "tokenizer.json", "added_tokens_decoder" in settings.values
    try:
        declared, others = list(settings.declared()), list(settings.special())
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The added tokens that {source.parent} declares are malformed: {one_line(error)}.") from None
    for token in declared:
        if declared_flags or token.text not in in_file:  # else the flags in tokenizer.json count
            model.add_tokens([AddedToken(token.text, **token.flags)])
        found = model.token_to_id(token.text)
        if found != token.number:
            raise InputError(
                f"{source.parent} adds the token {token.text!r} as id {token.number}, but it would be {found}. "
                "Give the directory a tokenizer.json."
            )
    registered = in_file | {token.text for token in declared}
    vocab = model.get_vocab()
    appended = set(special.values()) if known and known.kind == UNIGRAM and not from_json else set()
    for token in (*_silent(special, others, known), *others):
        role = token.text in special.values() or token.role in ROLES
        if token.text not in registered and (token.text in vocab or token.text in appended or not role):
            registered.add(token.text)
            model.add_special_tokens([AddedToken(token.text, **token.flags)])


def _silent(special: Mapping[str, str], others: list[Added], known: TokenizerClass | None) -> list[Added]:
    """The special tokens that files name without flags or not at all, with the flags that the class gives them."""
    flagged = {token.text for token in others if len(token.flags) > 1}
    flags = {"special": True, "normalized": False}
    found = []
    for role in ROLES:
        token = special.get(role)
        if token and token not in flagged:
            found.append(Added(token, {**flags, **(known.mask if known and role == "mask_token" else {})}, None, role))
    return found
