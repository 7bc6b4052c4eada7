"""Tokenizer files of a directory, or one vocabulary -> Backend, with which texts are tokenized; and back.

Which special tokens a family has, and where they stand, are facts of the family. Used by tokens.py, which turns texts
into Tokens with it.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from autorel_jax.errors import InputError
from autorel_jax.families.family import BPE, UNIGRAM, WORD_PIECE, Family, TokenFacts
from autorel_jax.text import agreement, normalizing, pipelines
from autorel_jax.text.added_tokens import add_tokens, require
from autorel_jax.text.classes import GENERIC, JAPANESE, TokenizerClass, class_of
from autorel_jax.text.japanese import Japanese, read_japanese
from autorel_jax.text.layout import has_types, lay
from autorel_jax.text.settings import CONFIG, IDS, MASK, NONE, RIGHT, SIDES, TYPES, Settings, read_settings
from autorel_jax.text.vocab_txt import vocab_lines

JSON, VOCAB, MERGES = "tokenizer.json", "vocab.txt", ("vocab.json", "merges.txt")
SAVE = "transformers writes one from other files: AutoTokenizer.from_pretrained(MODEL).save_pretrained(FOLDER)."


@dataclasses.dataclass(frozen=True, eq=False)
class Backend:
    """A `tokenizers.Tokenizer` without truncation and padding, and what is known about it."""

    model: Any  # or what does its work, of japanese.py
    facts: TokenFacts  # of the family; without segment ids where the files say so
    special: dict[str, str]  # role -> token; a role that the vocabulary lacks is left out
    cased: bool
    why: str  # where the choice of `cased` comes from
    positions: int  # model_max_length, or the family's where the files name no sane number
    written_class: str  # the tokenizer_class from which transformers gives the same ids
    truncation_side: str = RIGHT  # the end at which a text that is too long is cut
    warnings: tuple[str, ...] = ()
    named: int | None = None  # model_max_length, where the files name a sane number

    def beside(self) -> str:
        """What decides what is read of a text and is not in the model."""
        roles, templates = sorted(self.special.items()), (self.facts.single, self.facts.pair)
        return json.dumps([roles, templates, self.model.encode_special_tokens, self.truncation_side])


def read_backend(path: Path, cased: bool | None, family: Family, truncation_side: str | None = None) -> Backend:
    """Reads a directory with tokenizer.json or a vocabulary (as in transformers the first wins), or such a file.

    The vocabularies are vocab.txt (WordPiece), vocab.json with merges.txt (byte-level BPE), and the models of
    SentencePiece (Unigram) that the classes of classes.py read.

    The settings of tokenizer_config.json and its like count for a directory; a file that is named itself stands alone.
    `cased` and `truncation_side` override what they say.

    Raises:
      InputError: a file is missing, damaged, or says what is not supported, named.
    """
    path = Path(path)
    if truncation_side not in (None, *SIDES):
        raise InputError(f"truncation_side={truncation_side!r} is unknown; accepted: {', '.join(SIDES)}.")
    settings = read_settings(path) if path.is_dir() else NONE
    special = {role: settings.token(role) or token for role, token in family.tokens.special.items()}
    if settings.named == JAPANESE:
        backend = _japanese(path, cased, family, settings, special)
    else:
        backend = _from_files(path, cased, family, settings, special)
    side = truncation_side or settings.truncation_side or backend.truncation_side
    held = {role: token for role, token in special.items() if backend.model.token_to_id(token) is not None}
    return dataclasses.replace(
        backend,
        special=held,
        truncation_side=side,
        named=settings.positions,
        warnings=(*settings.warnings, *backend.warnings),
    )


def _from_files(path: Path, cased: bool | None, family: Family, settings: Settings, special: dict[str, str]) -> Backend:
    known = class_of(family, settings.named)
    source = _find(path, family, known)
    model, warnings = _model(source, special, family, known, settings)
    require(model.get_vocab(), source, special, family, settings)
    side = (model.truncation or {}).get("direction", RIGHT)
    model.no_truncation()
    model.no_padding()
    model.encode_special_tokens = bool(settings.flag("split_special_tokens", False))
    add_tokens(model, source, special, settings, known)
    facts, more = agreement.with_types(family.tokens, settings, known) if path.is_dir() else (family.tokens, ())
    as_is = known is None or (path.is_file() and source.name == JSON)
    if path.is_dir() and known:
        more += _settle(model, source, special, settings, known, family)
    elif path.is_dir():
        facts = agreement.as_the_file(model, source, special, facts, family)
    cased, why = normalizing.casing(model, source, NONE if as_is else settings, cased)
    if normalizing.is_bert(model):
        model.normalizer = normalizing.normalizer(model.normalizer, None if as_is else settings, lowercase=not cased)
    if facts.kind != WORD_PIECE:
        model.post_processor = None  # it changes spans; the special tokens are laid by layout.py
    # A class of a family's own would replace what the file says by what it takes for its own.
    rebuilt = known and normalizing.is_bert(model) and normalizing.is_rebuilt(model, known.kind)
    written = known.name if rebuilt and not as_is else GENERIC[0]
    positions = settings.positions or facts.longest
    return Backend(model, facts, special, cased, why, positions, written, side, (*warnings, *more))


def _model(
    source: Path, special: dict[str, str], family: Family, known: TokenizerClass | None, settings: Settings
) -> pipelines.Made:
    if source.name == MERGES[0]:
        return pipelines.from_merges(source)
    if source.name.endswith(".json"):
        return pipelines.from_json(source, family)
    if known and known.kind == UNIGRAM:
        return pipelines.from_pieces(source, known, special, settings)
    return pipelines.from_vocab(source, special, family, settings)


def _settle(
    model: Any, source: Path, special: dict[str, str], settings: Settings, known: TokenizerClass, family: Family
) -> tuple[str, ...]:
    """Puts the settings that the class reads into effect, checks the others, and warns of what they do not say."""
    agreement.check_bounds(settings, special, family)
    more = ()
    if type(model.pre_tokenizer).__name__ == "ByteLevel":
        held, said = model.pre_tokenizer.add_prefix_space, settings.flag("add_prefix_space", None)
        model.pre_tokenizer.add_prefix_space = bool(said)
        if held and said is None:
            more = (f"{CONFIG} does not say add_prefix_space: it is false, as in transformers; {JSON} has true",)
    if not normalizing.is_rebuilt(model, known.kind):
        more += (
            f"{source.name} splits text in another way than {known.name}: it counts as it is; transformers 5 builds "
            "the class anew and gives other tokens",
        )
    if known.kind == WORD_PIECE:
        model.model.unk_token = special["unk_token"]
    if normalizing.is_bert(model):
        return (*more, *normalizing.silent(model.normalizer, source, settings))
    return (*more, *agreement.check_pipeline(model, source, settings, known))


def _japanese(path: Path, cased: bool | None, family: Family, settings: Settings, special: dict[str, str]) -> Backend:
    if family.tokens.kind != WORD_PIECE:
        raise InputError(
            f"tokenizer_class={JAPANESE} is a WordPiece tokenizer; {family.name}'s is {family.tokens.kind}."
        )
    model = read_japanese(path)
    require(model.get_vocab(), path, special, family, settings)
    if cased is not None and cased == model.lowers:
        raise InputError(f"cased={cased} cannot be set: {JAPANESE} says do_lower_case itself. Leave cased out.")
    facts, warnings = agreement.with_types(family.tokens, settings, None)
    why = f"from {CONFIG}: do_lower_case is {str(model.lowers).lower()}"
    positions = settings.positions or facts.longest
    return Backend(model, facts, special, not model.lowers, why, positions, JAPANESE, warnings=warnings)


def _find(path: Path, family: Family, known: TokenizerClass | None) -> Path:
    """The file that holds the vocabulary."""
    files = () if known is None else MERGES if known.kind == BPE else (known.file,)
    if path.is_file():
        kinds = (".json",) if known is None or known.kind == BPE else (".json", ".model")
        if family.tokens.kind == WORD_PIECE or (path.suffix in kinds and path.name != MERGES[0]):
            return path
    elif (path / JSON).is_file():
        return path / JSON
    elif files and all((path / name).is_file() for name in files):
        return path / files[0]
    accepted = " or ".join(filter(None, (JSON, " with ".join(files))))
    if not path.exists():
        raise InputError(f"{path} does not exist; give a directory with {accepted}, or a {(JSON, *files)[-1]}.")
    if path.is_file():
        raise InputError(f"{path} is not {accepted}, which {family.name}'s tokenizer is read from. {SAVE}")
    if (path / "bpe.codes").is_file():
        raise InputError(f"{path} holds bpe.codes of BERTweet's or PhoBERT's tokenizer, which is not supported.")
    if known is None:
        raise InputError(f"{path} holds no {JSON}, which its tokenizer_class takes as it is. {SAVE}")
    if family.tokens.kind == WORD_PIECE:
        raise InputError(f"{path} holds neither {' nor '.join((JSON, *files))}; copy one of them there.")
    raise InputError(f"{path} holds no {accepted}, which {family.name}'s tokenizer is read from. {SAVE}")


def write_backend(backend: Backend, directory: Path, positions: int | None = None) -> None:
    """Writes the files from which transformers' AutoTokenizer and `read_backend` give the same ids.

    `positions` are those of the model, its longest text unless the files that were read name another.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    settings = _settings(backend) | {"model_max_length": backend.named or positions or backend.positions}
    if isinstance(backend.model, Japanese):
        backend.model.theirs.save_pretrained(directory)
        settings = json.loads((directory / CONFIG).read_bytes()) | settings
    else:
        _template(backend)
        backend.model.save(str(directory / JSON))
    if backend.facts.kind == WORD_PIECE and not isinstance(backend.model, Japanese):
        lines = vocab_lines(backend.model.get_vocab(with_added_tokens=False))
        (directory / VOCAB).write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")
    text = json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (directory / CONFIG).write_text(text, "utf-8", newline="\n")


def _settings(backend: Backend) -> dict[str, Any]:
    """tokenizer_config.json: what tokenizer.json does not say, or the class takes from here."""
    # Without names, which segment ids a model gets depends on the class and on transformers' version.
    names = [IDS, TYPES, MASK] if has_types(backend.facts.pair) else [IDS, MASK]
    settings: dict[str, Any] = {
        "model_input_names": names,
        "tokenizer_class": backend.written_class,
        **backend.special,
    }
    if backend.truncation_side != RIGHT:
        settings["truncation_side"] = backend.truncation_side
    if isinstance(backend.model, Japanese):
        return settings
    if backend.model.encode_special_tokens:
        settings["split_special_tokens"] = True
    if backend.written_class not in GENERIC:
        normalizer = backend.model.normalizer
        settings |= {
            "do_lower_case": normalizer.lowercase,
            "strip_accents": normalizer.strip_accents,
            "tokenize_chinese_chars": normalizer.handle_chinese_chars,
        }
    return settings


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
