"""Directories of tiny models of every family, with tokenizers that are trained here on a few sentences."""

import json
from pathlib import Path

from models import NO_TABLES, SHARED, VOCAB, deberta, random_params, tiny_config
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from autorel_jax.families import family_of
from autorel_jax.families.bert import BERT
from autorel_jax.families.family import BPE, UNIGRAM, B, Family
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

SENTENCES = [
    "a gorgeous, witty, seductive movie.",
    "it 's not terrible, but far from good: don't look now 😀",
    "the film, a ﬁne one with naïve actors in a café",
    "a good film and not a bad one, the actors are great, boring but fine",
]
ROLES = ("cls_token", "pad_token", "sep_token", "unk_token", "mask_token")


def special_tokens(family: Family) -> list[str]:
    """The family's special tokens, which the trained tokenizers have first."""
    return [family.tokens.special[role] for role in ROLES]


def bpe(family: Family) -> Tokenizer:
    """A byte-level BPE as RoBERTa's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=special_tokens(family),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    if "<s>" in special_tokens(family):
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), True, False)
    else:  # ModernBERT, whose tokenizer.json counts as it is
        tokenizer.post_processor = around(family)
    return tokenizer


def around(family: Family) -> processors.TemplateProcessing:
    """What puts the family's special tokens around texts."""
    special = special_tokens(family)
    single, pair = (
        [f"{family.tokens.special.get(holds, ('$A', '$B')[holds == B])}:{segment}" for holds, segment in template]
        for template in (family.tokens.single, family.tokens.pair)
    )
    return processors.TemplateProcessing(single, pair, [(special[0], 0), (special[2], 2)])


def unigram(family: Family) -> Tokenizer:
    """A Unigram as XLM-R's."""
    special = special_tokens(family)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=special, unk_token=special[3], show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.post_processor = around(family)
    return tokenizer


TRAINED = {BPE: bpe, UNIGRAM: unigram}


def save_tokenizer(folder: Path, model_type: str) -> Path:
    """A directory with tokenizer.json, and the config.json by which transformers knows its class."""
    folder.mkdir(parents=True, exist_ok=True)
    family = family_of(model_type)
    tokenizer = TRAINED[family.tokens.kind](family)
    tokenizer.add_special_tokens([AddedToken(family.tokens.special["mask_token"], lstrip=True, special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return folder


def tokenizer_of(folder: Path, model_type: str):
    """A tokenizer of the family: BERT's vocabulary of the tests, or one that is trained and written into the folder."""
    family = family_of(model_type)
    path = save_tokenizer(folder, model_type) if family.tokens.kind in TRAINED else word_piece(folder, family)
    return load_tokenizer(path, family=family)


def word_piece(folder: Path, family: Family) -> Path:
    """The vocabulary of the tests, or one that begins with the family's special tokens in place of BERT's."""
    if family.tokens.special == BERT.tokens.special:
        return VOCAB
    folder.mkdir(parents=True, exist_ok=True)
    others = [line for line in VOCAB.read_text("utf-8").splitlines() if line not in BERT.tokens.special.values()]
    (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in [*special_tokens(family), *others]), "utf-8")
    return folder / "vocab.txt"


# What a tiny config of each family has beside the sizes that all have in common.
CHANGES = {
    "bert": {},
    "roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "xlm-roberta": {"pad_token_id": 1, "type_vocab_size": 1},
    "distilbert": {"type_vocab_size": 0, "classifier_dropout": 0.2, "answers_dropout": 0.1},
    "electra": {"embedding_size": 8},
    "deberta-v2": deberta(max_relative_positions=42),
    "mpnet": {"pad_token_id": 1, "type_vocab_size": 0},
    "camembert": {"pad_token_id": 1, "type_vocab_size": 1},
    "modernbert": {"pad_token_id": 1, **NO_TABLES},
    "albert": {"pad_token_id": 1, **SHARED},
}


def write_family(folder: Path, model_type: str, **changes) -> Path:
    """A directory with a tiny random classifier of the family, for texts of up to 40 tokens."""
    tokenizer = tokenizer_of(folder.with_name(f"{folder.name}-tokenizer"), model_type)
    values = {"vocab_size": tokenizer.max_id + 1, "labels": ("negative", "neutral", "positive")}
    config = tiny_config(**values | CHANGES[model_type] | changes, model_type=model_type, max_position_embeddings=42)
    write(folder, config, random_params(config, scale=0.3), tokenizer)
    return folder
