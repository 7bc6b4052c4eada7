"""autorel convert: a checkpoint of any format that we read -> a directory that transformers loads."""

from collections.abc import Sequence
from pathlib import Path

from autorel_jax.cli.command import Parser, run, say, warn
from autorel_jax.cli.flags import add_model_flags
from autorel_jax.errors import InputError, listing
from autorel_jax.foreign import visible
from autorel_jax.model.config import BertConfig
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import DTYPES, Changes, Checkpoint, check_target, read, write

PROG = "autorel-convert"
EXAMPLES = """examples:
  autorel-convert uncased_L-12_H-768_A-12/bert_model.ckpt bert-base
  autorel-convert model.bin sst2 --config bert_config.json --vocab vocab.txt --labels negative,positive
  autorel-convert google-bert/bert-base-cased bert-base-cased --dtype bfloat16
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: convert(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Writes a checkpoint of any format as a Hugging Face directory: config.json,\n"
        "model.safetensors, tokenizer.json, tokenizer_config.json and, for WordPiece, vocab.txt. Needs no PyTorch.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    add = made.add_argument
    add(
        "source",
        metavar="SOURCE",
        help="a directory, a weights file (.safetensors, .bin, .pt, .msgpack or an index of shards), the "
        "prefix of a TensorFlow checkpoint (…/bert_model.ckpt), or a model's name on the Hugging Face hub",
    )
    add("output", metavar="OUTPUT", type=Path, help="the directory to write; absent or empty, unless --force")
    add_model_flags(made)
    add("--dtype", choices=DTYPES, default=DTYPES[0], help="of the weights written (default: %(default)s)")
    add(
        "--labels",
        metavar="NAME,NAME",
        help="names of the classes, in the order of the outputs (default: those of the config)",
    )
    add(
        "--force",
        action="store_true",
        help="replace OUTPUT if it is a model directory; everything in it goes",
    )
    return made


def convert(argv: Sequence[str] | None, prog: str) -> None:
    """Reads, writes, and prints what was read and written."""
    args = parser(prog).parse_args(argv)
    target = check_target(args.output, args.force)  # before a long read
    checkpoint = read(
        args.source,
        config=args.config,
        revision=args.revision,
        changes=Changes(label_names(args.labels), args.problem_type, args.rename, args.drop),
    )
    config = checkpoint.config
    if args.problem_type and not config.labels:
        raise InputError("--problem-type was given, but the checkpoint has no classification head.")
    tokenizer = load_tokenizer(
        args.vocab or checkpoint.directory, args.cased, checkpoint.config.family, args.truncation_side
    )
    warn(
        args.prog,
        (*checkpoint.warnings, *tokenizer.warnings, *tokenizer.misfits(config.vocab_size, config.counted_pad)),
    )
    write(target, config, checkpoint.params, tokenizer, dtype=args.dtype, force=args.force)
    say(summary(checkpoint, config))
    case = "cased" if tokenizer.cased else "uncased"
    say(f"tokenizer: {tokenizer.vocab_size} word pieces, {case} ({tokenizer.why})")
    say(f"wrote {args.output}: {', '.join(sorted(file.name for file in target.iterdir()))}, {args.dtype}")


def label_names(labels: str | None) -> tuple[str, ...]:
    """`--labels` as names."""
    names = () if labels is None else tuple(name.strip() for name in labels.split(","))
    if "" in names:
        raise InputError(f"--labels {labels}: expected names with commas between.")
    return names


def summary(checkpoint: Checkpoint, config: BertConfig) -> str:
    """What was read, in a line or two."""
    labels = visible(", ".join(config.labels))
    head = (
        f"labels {labels} ({config.task if config.on_tokens else config.problem})"
        if labels
        else "no classification head"
    )
    lines = [f"read {checkpoint.source}: {config.num_hidden_layers} layers of width {config.hidden_size}, {head}"]
    if checkpoint.ignored:
        lines.append(f"ignored by name ({len(checkpoint.ignored)}): {listing(checkpoint.ignored)}")
    return "\n".join(lines)
