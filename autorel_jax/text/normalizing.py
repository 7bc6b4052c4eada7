"""Normalizing: what the settings say of BERT's normalizer -> the normalizer, and whether the tokenizer keeps capitals.

BERT's is the one normalizer whose settings stand in tokenizer_config.json; another one is kept as its file has it.
Used by tokenizer.py.
"""

from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.family import BPE, WORD_PIECE
from autorel_jax.text.classes import BERT_SETTINGS
from autorel_jax.text.settings import CONFIG, Settings

LOWER, ACCENTS, IDEOGRAPHS = BERT_SETTINGS  # the keys


def is_bert(model: Any) -> bool:
    """Whether the normalizer is BERT's, whose casing can be set."""
    return type(model.normalizer).__name__ == "BertNormalizer"


def is_rebuilt(model: Any, kind: str) -> bool:
    """Whether the class, which transformers 5 builds anew from the vocabulary, splits text as the file's pipeline does.

    Of WordPiece and byte-level BPE; that of Unigram is compared setting by setting in agreement.py.
    """
    parts = type(model.normalizer).__name__, type(model.pre_tokenizer).__name__
    if kind == WORD_PIECE:
        own = model.model.max_input_chars_per_word, model.model.continuing_subword_prefix
        return parts == ("BertNormalizer", "BertPreTokenizer") and own == (100, "##")
    if kind == BPE and parts == ("NoneType", "ByteLevel"):
        affixes = model.model.continuing_subword_prefix, model.model.end_of_word_suffix
        return model.pre_tokenizer.use_regex and not any((*affixes, model.model.byte_fallback, model.model.fuse_unk))
    return kind != BPE


def lowers(model: Any) -> bool:
    """Whether the normalizer lowercases."""
    return model.normalizer is not None and model.normalizer.normalize_str("A") == "a"


def casing(model: Any, source: Path, settings: Settings, cased: bool | None) -> tuple[bool, str]:
    """Cased or not, and why: as asked, else by tokenizer_config.json, tokenizer.json or the vocabulary."""
    if not is_bert(model):
        if cased is not None and cased == lowers(model):
            raise InputError(f"cased={cased} cannot be set: the normalizer of {source} is not BERT's. Leave cased out.")
        held = f"from the normalizer in {source.name}" if source.name == "tokenizer.json" else "as its class has it"
        return not lowers(model), held
    if cased is not None:
        return cased, f"as asked (cased={cased})"
    said = settings.flag(LOWER, None)
    if said is not None:
        return not said, f"from {CONFIG}: {LOWER} is {str(said).lower()}"
    if source.name.endswith(".json"):
        return not lowers(model), f"from {source.name}: lowercase is {str(lowers(model)).lower()}"
    found = model.token_to_id("The") is not None
    return found, f"from {source.name}: 'The' is {'' if found else 'not '}in it"


def normalizer(old: Any, settings: Settings | None, lowercase: bool) -> Any:
    """BERT's normalizer. As in transformers the settings win and the cleaner is on; without settings, the old one's."""
    from tokenizers import normalizers

    kept = settings is None
    accents = old.strip_accents if kept else settings.values.get(ACCENTS, old.strip_accents)
    return normalizers.BertNormalizer(
        clean_text=old.clean_text if kept else True,
        handle_chinese_chars=old.handle_chinese_chars if kept else settings.flag(IDEOGRAPHS, old.handle_chinese_chars),
        strip_accents=accents if isinstance(accents, bool) else None,  # None: as lowercase
        lowercase=lowercase,
    )


def silent(old: Any, source: Path, settings: Settings) -> tuple[str, ...]:
    """A warning for what tokenizer.json says, the settings do not, and transformers takes for its default."""
    if source.name != "tokenizer.json":
        return ()
    held = {LOWER: old.lowercase, ACCENTS: old.strip_accents, IDEOGRAPHS: old.handle_chinese_chars}
    return tuple(
        silent_setting(key, held[key], default)
        for key, default in BERT_SETTINGS.items()
        if key not in settings.values and held[key] != default
    )


def silent_setting(key: str, held: Any, default: Any) -> str:
    """The warning for a setting that tokenizer.json has and the settings do not name."""
    held, default = ("null" if value is None else str(value).lower() for value in (held, default))
    return f"{CONFIG} does not say {key}: tokenizer.json counts, where it is {held}; transformers would take {default}"
