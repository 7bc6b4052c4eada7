"""Tokenizer files: tokenizer.json or older ones (vocab.txt; vocab.json, merges.txt), and settings <-> Backend.

Which special tokens a family has, and where they stand, are facts of the family. The only importer of `tokenizers`.
Used by tokens.py, which turns texts into Tokens with it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError, one_line
from autorel_jax.families.family import BPE, WORD_PIECE, Family, Template, TokenFacts
from autorel_jax.text.layout import lay

GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")  # transformers' classes that take tokenizer.json as it is
ADDED_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")  # of an added token
UNBOUNDED = 10**6  # transformers writes 1e30 for "no limit"


@dataclass(frozen=True, eq=False)
class Backend:
    """A `tokenizers.Tokenizer` without truncation and padding, and what is known about it."""

    model: Any
    facts: TokenFacts
    special: dict[str, str]  # role -> token; a role that the vocabulary lacks is left out
    cased: bool
    why: str  # where the choice of `cased` comes from
    positions: int
    warnings: tuple[str, ...] = ()


def read_backend(path: Path, cased: bool | None, family: Family) -> Backend:
    """Reads a directory with tokenizer.json or vocab.txt (as in transformers the first wins), or such a file.

    A vocab.txt is for WordPiece alone; byte-level BPE may have vocab.json and merges.txt in its place.

    The settings of tokenizer_config.json count for a directory; a file that is named itself stands alone.
    """
    path, facts = Path(path), family.tokens
    source = _find(path, family)
    settings = _settings(source.parent) if path.is_dir() else {}
    special = {**facts.special, **{role: _content(settings[role]) for role in facts.special if settings.get(role)}}
    warnings: tuple[str, ...] = ()
    if source.name == "vocab.json":
        model = _from_merges(source, special, settings)
        _prefix_space(model, settings)
    elif source.name.endswith(".json"):
        model = _from_json(source, family)
        _prefix_space(model, settings)
    else:
        model, warnings = _from_vocab(source, special, family)
    _require(model.get_vocab(), source, special, family)
    _add_tokens(model, source, special, settings)
    cased, why = _case(model, source, settings, cased)
    if _own_pipeline(model):
        model.normalizer = _normalizer(model.normalizer, settings, lowercase=not cased)
    if facts.kind != WORD_PIECE:
        model.post_processor = None  # it changes spans; the special tokens are laid by layout.py
    model.no_truncation()
    model.no_padding()
    special = {role: token for role, token in special.items() if model.token_to_id(token) is not None}
    return Backend(model, facts, special, cased, why, _positions(settings, facts.longest), warnings)


def write_backend(backend: Backend, directory: Path) -> None:
    """Writes the files from which transformers' AutoTokenizer and `read_backend` give the same ids."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"model_max_length": backend.positions, **backend.special}
    if not _has_types(backend.facts.pair):  # else transformers hands the model type ids
        settings["model_input_names"] = ["input_ids", "attention_mask"]
    if _own_pipeline(backend.model):
        normalizer = backend.model.normalizer
        settings |= {
            "tokenizer_class": backend.facts.word_piece_class,
            "do_lower_case": normalizer.lowercase,
            "strip_accents": normalizer.strip_accents,
            "tokenize_chinese_chars": normalizer.handle_chinese_chars,
        }
    else:  # a class of a family's own would replace what the file says by what it takes for its own
        settings["tokenizer_class"] = GENERIC[0]
    _template(backend)
    backend.model.save(str(directory / "tokenizer.json"))
    if backend.facts.kind == WORD_PIECE:
        lines = _vocab_lines(backend.model)
        (directory / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (directory / "tokenizer_config.json").write_text(text, "utf-8", newline="\n")


def _find(path: Path, family: Family) -> Path:
    if family.tokens.kind != WORD_PIECE:
        return _find_json(path, family)
    if path.is_dir():
        for name in ("tokenizer.json", "vocab.txt"):
            if (path / name).is_file():
                return path / name
        raise InputError(f"{path} holds neither tokenizer.json nor vocab.txt; copy one of them there.")
    if path.is_file():
        return path
    raise InputError(f"{path} does not exist; give a directory with tokenizer.json or vocab.txt, or a vocab.txt.")


def _find_json(path: Path, family: Family) -> Path:
    source = path / "tokenizer.json" if path.is_dir() else path
    if source.is_file() and source.name.endswith(".json") and source.name != "vocab.json":
        return source
    if family.tokens.kind == BPE and all((path / name).is_file() for name in ("vocab.json", "merges.txt")):
        return path / "vocab.json"
    if (path / "bpe.codes").is_file():
        raise InputError(f"{path} holds bpe.codes of BERTweet's or PhoBERT's tokenizer, which is not supported.")
    raise InputError(
        f"{source} is not there or no tokenizer.json, which {family.name}'s tokenizer is read from. transformers "
        "writes one from other files: AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)."
    )


def _settings(directory: Path) -> dict[str, Any]:
    """What special_tokens_map.json, tokenizer_config.json and added_tokens.json say; the later files win."""
    settings = _object(directory / "special_tokens_map.json") | _object(directory / "tokenizer_config.json")
    return settings | {"added_tokens": _object(directory / "added_tokens.json")}


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path} is not readable as JSON: {one_line(error)}. Repair it or remove it.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} holds a JSON {type(value).__name__}, not an object. Repair it or remove it.")
    return value


def _content(token: Any) -> str:
    """A token as written in the settings: "[CLS]" or {"content": "[CLS]", …}."""
    content = token.get("content") if isinstance(token, dict) else token
    if not isinstance(content, str):
        raise InputError(f"tokenizer_config.json names the special token {token!r}; a string is needed.")
    return content


def _positions(settings: dict[str, Any], longest: int) -> int:
    value = settings.get("model_max_length")
    sane = isinstance(value, int | float) and 0 < value < UNBOUNDED
    return int(value) if sane else longest


def _from_json(path: Path, family: Family) -> Any:
    from tokenizers import Tokenizer, pre_tokenizers

    try:
        model = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{path} is not a tokenizer.json: {one_line(error)}.") from None
    kind = type(model.model).__name__
    name, expected = family.name, family.tokens.kind
    if kind != expected:
        raise InputError(f"{path} holds a {kind} tokenizer; {name}'s is {expected}. Is this a {name} checkpoint?")
    if model.pre_tokenizer is None and kind == WORD_PIECE:
        model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return model


def _from_merges(path: Path, special: dict[str, str], settings: dict[str, Any]) -> Any:
    """Byte-level BPE from vocab.json and merges.txt, which name no special tokens; the settings say more of them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    try:
        model = Tokenizer(models.BPE.from_file(str(path), str(path.with_name("merges.txt"))))
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{path} and merges.txt are not those of a BPE: {one_line(error)}.") from None
    model.pre_tokenizer, model.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    vocab = model.get_vocab()
    for role, token in special.items():
        said = settings.get(role)
        flags = {flag: said[flag] for flag in ADDED_FLAGS if flag in said} if isinstance(said, dict) else {}
        if token in vocab:
            model.add_special_tokens([AddedToken(token, **{**flags, "special": True, "normalized": False})])
    return model


def _prefix_space(model: Any, settings: dict[str, Any]) -> None:
    """Whether byte-level BPE reads the first word as one after a space, as transformers decides it for a directory.

    There a class of the family's own takes it from the settings, whatever the file says; no setting means no space.
    """
    if not settings or settings.get("tokenizer_class") in GENERIC:
        return
    if type(model.pre_tokenizer).__name__ == "ByteLevel":
        model.pre_tokenizer.add_prefix_space = settings.get("add_prefix_space") is True


def _has_types(template: Template) -> bool:
    """Whether the family tells two texts apart by type ids."""
    return any(segment for _, segment in template)


def _from_vocab(path: Path, special: dict[str, str], family: Family) -> tuple[Any, tuple[str, ...]]:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocab, warnings = _vocab(path)
    _require(vocab, path, special, family)
    model = Tokenizer(models.WordPiece(vocab, unk_token=special["unk_token"]))
    model.normalizer = normalizers.BertNormalizer()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece(prefix="##")
    return model, warnings


def _vocab(path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """The lines of vocab.txt -> {piece: line number from 0}.

    Of a repeated line the last counts, as in transformers; the others keep their number, under a name that no
    text can produce (no piece has a space in it), so that the vocabulary is as long as the embedding table.
    """
    lines = _lines(path)
    last = {line: number for number, line in enumerate(lines)}
    vocab, warnings = {}, []
    for number, line in enumerate(lines):
        unusable = line == "" or last[line] != number
        vocab[f"[unused line {number + 1}]" if unusable else line] = number
        if unusable:
            what = f"repeats {line!r}; its last line, {last[line] + 1}, counts" if line else "is empty"
            warnings.append(f"{path.name}: line {number + 1} {what}.")
    return vocab, tuple(warnings)


def _lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    if b"\0" in raw:
        raise InputError(f"{path} is binary, not a vocab.txt (one word piece a line, UTF-8).")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}, line {line}: not UTF-8; a vocab.txt has one word piece a line.") from None
    # Not splitlines(): U+2028 and its like may be word pieces.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    if lines == [""]:
        raise InputError(f"{path} is empty; a vocab.txt has one word piece a line.")
    return lines


def _require(vocab: Any, path: Path, special: dict[str, str], family: Family) -> None:
    missing = [token for role, token in special.items() if role not in family.tokens.optional and token not in vocab]
    if missing:
        name, lacking = family.name, ", ".join(missing)
        raise InputError(f"{path} lacks {lacking}, which {name} needs; give the vocabulary of a {name} model.")


def _add_tokens(model: Any, source: Path, special: dict[str, str], settings: dict[str, Any]) -> None:
    """Registers special tokens, so that "[SEP]" in a text is one token, and those that the settings add."""
    known = {token.content for token in model.get_added_tokens_decoder().values()}
    vocab = model.get_vocab()
    model.add_special_tokens([token for token in special.values() if token in vocab and token not in known])
    try:
        declared = list(_declared(settings))
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"The added tokens that {source.parent} declares are malformed: {one_line(error)}.") from None
    for token, number in declared:
        model.add_tokens([token])
        if number is not None and model.token_to_id(token.content) != number:
            raise InputError(
                f"{source.parent} adds the token {token.content!r} as id {number}, but it would be "
                f"{model.token_to_id(token.content)}. Give the directory a tokenizer.json."
            )


def _declared(settings: dict[str, Any]) -> Iterator[tuple[Any, int | None]]:
    """Added tokens and their ids, in order of id, from tokenizer_config.json and added_tokens.json."""
    from tokenizers import AddedToken

    numbered = [(int(number), token) for number, token in settings.get("added_tokens_decoder", {}).items()]
    numbered += [(number, {"content": token}) for token, number in settings.get("added_tokens", {}).items()]
    for number, token in sorted(numbered, key=lambda pair: pair[0]):
        yield AddedToken(_content(token), **{flag: token[flag] for flag in ADDED_FLAGS if flag in token}), number
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    for token in extra.values() if isinstance(extra, dict) else extra:
        yield AddedToken(_content(token), special=True, normalized=False), None


def _own_pipeline(model: Any) -> bool:
    """Whether the normalizer is BERT's, whose casing can be set; another one is kept as the file has it."""
    return type(model.normalizer).__name__ == "BertNormalizer"


def _case(model: Any, source: Path, settings: dict[str, Any], cased: bool | None) -> tuple[bool, str]:
    """Cased or not, and why: as asked, else by tokenizer_config.json, tokenizer.json or the vocabulary."""
    from_json = source.name.endswith(".json")
    lowers = model.normalizer is not None and model.normalizer.normalize_str("A") == "a"
    if not _own_pipeline(model):
        if cased is not None and cased == lowers:
            raise InputError(f"cased={cased} cannot be set: the normalizer in {source} is not BERT's. Leave cased out.")
        return not lowers, f"from the normalizer in {source.name}"
    if cased is not None:
        return cased, f"as asked (cased={cased})"
    if isinstance(settings.get("do_lower_case"), bool):
        lowers = settings["do_lower_case"]
        return not lowers, f"from tokenizer_config.json: do_lower_case is {str(lowers).lower()}"
    if from_json:
        return not lowers, f"from {source.name}: lowercase is {str(lowers).lower()}"
    found = model.token_to_id("The") is not None
    return found, f"from {source.name}: 'The' is {'' if found else 'not '}in it"


def _normalizer(old: Any, settings: dict[str, Any], lowercase: bool) -> Any:
    """BERT's normalizer; as in transformers the settings win, and the cleaner is on."""
    from tokenizers import normalizers

    accents = settings.get("strip_accents", old.strip_accents)
    ideographs = settings.get("tokenize_chinese_chars")
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=ideographs if isinstance(ideographs, bool) else old.handle_chinese_chars,
        strip_accents=accents if isinstance(accents, bool) else None,  # None: as lowercase
        lowercase=lowercase,
    )


def _template(backend: Backend) -> None:
    """Sets the family's template, which readers of tokenizer.json expect there; tokens.py lays texts out itself."""
    from tokenizers import processors

    facts, special = backend.facts, backend.special
    single, pair = (
        " ".join(f"{what}:{segment}" for what, segment, _ in lay(template, ("$A", "$B"), special))
        for template in (facts.single, facts.pair)
    )
    used = {holds: special[holds] for holds, _ in facts.pair if isinstance(holds, str)}
    backend.model.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(token, backend.model.token_to_id(token)) for token in used.values()],
    )


def _vocab_lines(model: Any) -> list[str]:
    """One piece a line, in order of id; an id without a piece gets a line that no text can produce."""
    pieces = {number: piece for piece, number in model.get_vocab(with_added_tokens=False).items()}
    return [pieces.get(number, f"[unused line {number + 1}]") for number in range(max(pieces) + 1)]
