"""Settings: what the files beside a vocabulary say of a tokenizer, every key of them honoured, harmless or refused.

tokenizer_config.json, special_tokens_map.json, added_tokens.json, and the class that config.json names. `HARMLESS`,
`REFUSED` and the names in `Settings` are the one list of the keys that transformers 5 reads there; a key in none of
them is warned of. Used by tokenizer.py.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autorel_jax.errors import InputError, one_line
from autorel_jax.text.classes import CLASSES, JAPANESE, short

CONFIG, SPECIAL_MAP, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
RIGHT, LEFT = SIDES = ("right", "left")
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
EXTRA = ("extra_special_tokens", "additional_special_tokens")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")  # of an added token
UNBOUNDED = 10**6  # transformers writes 1e30 for "no limit"
IDS, TYPES, MASK = "input_ids", "token_type_ids", "attention_mask"

HONOURED = (
    *ROLES,
    *EXTRA,
    "model_specific_special_tokens",
    "added_tokens_decoder",
    "model_input_names",
    "model_max_length",
    "max_len",
    "split_special_tokens",
    "tokenizer_class",
    "truncation_side",
    *dict.fromkeys(key for known in CLASSES.values() for key in known.settings),
)
# Of BertJapaneseTokenizer, which reads them through transformers; another class would ignore them.
JAPANESE_KEYS = (
    "word_tokenizer_type",
    "subword_tokenizer_type",
    "do_word_tokenize",
    "do_subword_tokenize",
    "mecab_kwargs",
    "sudachi_kwargs",
    "jumanpp_kwargs",
    "spm_file",
)
HARMLESS = {  # why -> the keys
    "where files were found, or who wrote them": (
        "name_or_path",
        "vocab_file",
        "merges_file",
        "tokenizer_file",
        "special_tokens_map_file",
        "tokenizer_config_file",
        "added_tokens_file",
        "files_loaded",
        "is_local",
        "local_files_only",
        "backend",
        "processor_class",
        "transformers_version",
        "cache_dir",
        "token",
        "use_auth_token",
        "use_fast",
        "verbose",
        "device_map",
        "_commit_hash",
        "_from_auto",
        "from_slow",
    ),
    "how ids become text again": (
        "clean_up_tokenization_spaces",
        "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output",
        "spaces_between_special_tokens",
        "errors",
        "decode_with_prefix_space",
    ),
    "of conversations": ("chat_template", "response_template", "response_schema", "chat_control_tokens"),
    "what a call of transformers pads and cuts to, which a call of ours says itself": (
        "max_length",
        "stride",
        "truncation",
        "truncation_strategy",
        "padding",
        "pad_to_max_length",
        "pad_to_multiple_of",
        "pad_token_type_id",
        "pad_type_id",
    ),
    # Each text counts as it does alone: padding stands on the right and reaches no result.
    "where a batch is padded": ("padding_side",),
    "of the slow classes of transformers 4, which its fast ones and transformers 5 ignore": (
        "do_basic_tokenize",
        "never_split",
        "remove_space",
        "sp_model_kwargs",
        "vocab_type",
        "wordpieces_prefix",
        "clean_text",
        "legacy",
        "legacy_behaviour",
        "return_token_type_ids",
    ),
    "our own spans have no space at their ends": ("trim_offsets",),
    "the place of unk_token, which is known": ("unk_id",),
}
REFUSED = {  # key -> the values that change nothing, and what to do about another
    "auto_map": ((), "it names code of its own, which is not run; remove it to read the files as the class's"),
    "init_inputs": (([], ()), "give its values by name"),
    "fast_tokenizer_files": (([], ["tokenizer.json"]), "name the one that counts tokenizer.json and remove the key"),
    "fix_mistral_regex": ((False,), "it is of Mistral's tokenizers; remove it"),
    "enable_sampling": ((False,), "ids would be drawn at random; remove it"),
    **dict.fromkeys(
        ("vocab", "merges", "tokenizer_object", "gguf_file", "post_processor", "tokenizer_padding", "_tokenizer"),
        ((), "vocabularies and pipelines are read from files of their own"),
    ),
}
# transformers 5 drops these where there is a tokenizer.json; without one they add tokens that no family has.
BOUNDS = ("add_bos_token", "add_eos_token")


class Added(NamedTuple):
    """A token that a file adds to the vocabulary."""

    text: str
    flags: Mapping[str, bool]
    number: int | None = None  # its id, where the file says
    role: str | None = None


class Settings(NamedTuple):
    """What the files of a directory say; `NONE` for a vocabulary that stands alone."""

    values: Mapping[str, Any] = {}
    added: Mapping[str, int] = {}  # of added_tokens.json
    named: str | None = None  # the class, without "Fast"
    warnings: tuple[str, ...] = ()
    mapped: frozenset[str] = frozenset()  # the keys whose values are special_tokens_map.json's

    def token(self, role: str) -> str | None:
        """The special token of a role, if the files name it."""
        return _content(self.values[role], role) if self.values.get(role) else None

    def chooser(self, role: str) -> str | None:
        """The file that names the special token of a role, if one does."""
        return None if self.token(role) is None else SPECIAL_MAP if role in self.mapped else CONFIG

    def flag(self, key: str, default: bool | None) -> bool | None:
        """A setting that is on or off; null counts as absent."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{CONFIG}: {key} is {value!r}; expected true or false.")
        return default if value is None else value

    @property
    def truncation_side(self) -> str | None:
        """RIGHT or LEFT, if the files say."""
        side = self.values.get("truncation_side")
        if side is not None and side not in SIDES:
            raise InputError(f"{CONFIG}: truncation_side is {side!r}; accepted: {', '.join(SIDES)}.")
        return side

    @property
    def types(self) -> bool | None:
        """Whether the model is handed segment ids, if the files say."""
        names = self.values.get("model_input_names")
        if names is None:
            return None
        if not isinstance(names, list) or IDS not in names:
            raise InputError(f"{CONFIG}: model_input_names is {one_line(names)}; expected a list with {IDS!r} in it.")
        return TYPES in names

    @property
    def positions(self) -> int | None:
        """The longest text, if the files name a sane number."""
        value = self.values.get("model_max_length", self.values.get("max_len"))
        if isinstance(value, str):
            raise InputError(f"{CONFIG}: model_max_length is {one_line(value)!r}; expected a number.")
        sane = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < UNBOUNDED
        return int(value) if sane else None

    def special(self) -> Iterator[Added]:
        """The tokens that have a role, and those of a model's own, in transformers' order."""
        own = [key for key in self.values if key.endswith("_token") and key not in ROLES]
        for role in (*ROLES, *own):
            value = self.values.get(role)
            if value and not isinstance(value, bool):  # add_bos_token and its like are no tokens
                yield Added(_content(value, role), {**_flags(value), "special": True}, role=role)
        specific = self.values.get("model_specific_special_tokens") or {}
        for extra in (*(self.values.get(key) or () for key in EXTRA), specific):
            for token in extra.values() if isinstance(extra, dict) else extra:
                yield Added(_content(token, EXTRA[0]), {"normalized": False, **_flags(token), "special": True})

    def declared(self) -> Iterator[Added]:
        """The added tokens with an id, in order of id."""
        decoder = self.values.get("added_tokens_decoder") or {}
        numbered = [(int(number), token) for number, token in decoder.items()]
        special = {token.text for token in self.special()}
        for token, number in self.added.items():
            flags = {"normalized": token not in special, "special": token in special}
            numbered.append((number, {"content": token, **flags}))
        for number, token in sorted(numbered, key=lambda pair: pair[0]):
            yield Added(_content(token, "added_tokens_decoder"), _flags(token), number)


NONE = Settings()


def read_settings(directory: Path) -> Settings:
    """The settings of a directory.

    As in transformers 5, a tokenizer_config.json with added_tokens_decoder stands alone; otherwise
    special_tokens_map.json wins over it, and added_tokens.json counts.

    Raises:
      InputError: a file is not readable, or has a key or a value that would change ids in a way that is not supported.
    """
    values, added, mapped = json_object(directory / CONFIG), {}, {}
    if "added_tokens_decoder" not in values:
        mapped = json_object(directory / SPECIAL_MAP)
        values, added = _with_map(values, mapped), json_object(directory / ADDED)
    named = values.get("tokenizer_class") or json_object(directory / "config.json").get("tokenizer_class")
    if named is not None and not isinstance(named, str):
        raise InputError(f"{directory}: tokenizer_class is {named!r}; expected a name.")
    named = named and short(named)
    _refuse(values, named, (directory / "tokenizer.json").is_file())
    unknown, warnings = sorted(key for key in values if not _known(key, values[key])), ()
    if unknown:
        what = f"key {unknown[0]} is" if len(unknown) == 1 else f"keys {', '.join(unknown)} are"
        warnings = (f"{CONFIG}: the {what} unknown here and not read",)
    return Settings(values, added, named, warnings, frozenset(key for key in mapped if mapped[key] is not None))


def _with_map(values: dict[str, Any], special_map: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with those of special_tokens_map.json, whose further special tokens only add to named ones."""
    extra, additional = EXTRA
    found = {key: value for key, value in special_map.items() if value is not None}
    named = values.get(extra) or values.get(additional)
    if named:
        found.pop(additional, None)
    if isinstance(named, list) and isinstance(found.get(extra), list):
        found[extra] = [*named, *(token for token in found[extra] if token not in named)]
    return values | found


def json_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path} is not readable as JSON: {one_line(error)}. Repair it or remove it.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__}, not an object. Repair it or remove it.")
    return value


def _refuse(values: Mapping[str, Any], named: str | None, has_json: bool) -> None:
    """Raises InputError for a setting that would change ids and is not supported."""
    for key, (accepted, advice) in REFUSED.items():
        if values.get(key) is not None and values[key] not in accepted:
            raise InputError(f"{CONFIG}: {key} is {one_line(values[key], 60)}, which is not supported: {advice}.")
    for key in BOUNDS:
        if values.get(key) and not has_json:
            raise InputError(f"{CONFIG}: {key} is {values[key]!r}, which is not supported without a tokenizer.json.")
    for key in JAPANESE_KEYS:
        if values.get(key) is not None and named != JAPANESE:
            raise InputError(f"{CONFIG}: {key} is a setting of {JAPANESE}; name that tokenizer_class, or remove it.")


def _known(key: str, value: Any) -> bool:
    known = (*HONOURED, *JAPANESE_KEYS, *REFUSED, *BOUNDS, *(name for keys in HARMLESS.values() for name in keys))
    # transformers takes any such key for a special token of the model's own.
    return key in known or value is None or (key.endswith("_token") and isinstance(value, str | dict))


def _content(token: Any, key: str) -> str:
    """A token as written in the settings: "[CLS]" or {"content": "[CLS]", …}."""
    content = token.get("content") if isinstance(token, dict) else token
    if not isinstance(content, str):
        raise InputError(f"{CONFIG} names the special token {token!r} ({key}); a string is needed.")
    return content


def _flags(token: Any) -> dict[str, bool]:
    return {flag: token[flag] for flag in FLAGS if flag in token} if isinstance(token, dict) else {}
