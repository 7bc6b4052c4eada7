"""Flags that more than one command has."""

from argparse import ArgumentParser
from pathlib import Path


def add_model_flags(parser: ArgumentParser) -> None:
    """Adds what tells where the parts of a model are: --config, --vocab, --cased, --uncased, --revision."""
    add = parser.add_argument
    add(
        "--config",
        metavar="FILE",
        type=Path,
        help="the model's config.json or bert_config.json (default: the one beside the weights)",
    )
    add(
        "--vocab",
        metavar="FILE",
        type=Path,
        help="vocab.txt or tokenizer.json (default: beside the weights, or beside --config)",
    )
    case = parser.add_mutually_exclusive_group()
    case.add_argument(
        "--cased",
        action="store_true",
        default=None,
        help="the tokenizer keeps capitals (default: as the files say; a bare vocab.txt: if The is in it)",
    )
    case.add_argument("--uncased", action="store_false", dest="cased", default=None, help="the tokenizer lowercases")
    add("--revision", metavar="NAME", help="branch, tag or commit of a model on the hub (default: main)")
