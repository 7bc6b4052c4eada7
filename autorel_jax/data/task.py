"""TaskConfig: what is learnt, and where it stands in which files; the table [task] of a config.

Used by training/, and by the modules of data/ that read what is trained on.
"""

import dataclasses

from autorel_jax.errors import InputError
from autorel_jax.families.family import ANSWERS, TEXT_LABELS, TOKEN_LABELS
from autorel_jax.model.config import MULTI, PROBLEMS, REGRESSION, SINGLE, START_AND_END

SPLITS = TRAIN, DEV, TEST = ("train", "dev", "test")
LEARNABLE = (*PROBLEMS, TOKEN_LABELS, ANSWERS)  # what `problem` may be
WORDS_AND_TAGS = ("tokens", "tags")
NAMES = ("text", "label", "pair", "id")  # keys that name columns
COLUMNS = {  # problem -> those columns where a task does not name them; of other problems they have the first two names
    TOKEN_LABELS: (*WORDS_AND_TAGS, None, None),
    ANSWERS: ("question", "answers", "context", None),
}
FOREIGN = {  # problem -> keys that mean nothing there
    TOKEN_LABELS: ("pair", "clean", "tfds"),
    ANSWERS: ("clean", "tfds", "columns", "delimiter", "values"),
}


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """What is learnt, and where it stands in which files: the table [task] of a config.

    `values` are the labels as the files write them, in the order of `labels`; without it a label may be written by
    its name or its number from 0. Without `labels` they are what occurs in the training data, sorted.
    """

    name: str = "task"
    train: str | None = None  # a file in the data folder, or a split of the TFDS data set
    dev: str | None = None  # likewise; chooses the best checkpoint
    test: str | None = None  # likewise; see --eval-test
    dev_fraction: float = 0.0  # of train, held out as dev where there is no dev
    tfds: str | None = None  # TensorFlow Datasets' name, such as glue/sst2, instead of files
    format: str | None = None  # one of TABLE_FORMATS in data/tables.py; None: by the file's suffix
    delimiter: str | None = None  # between the columns of a file; None: as its format has it
    columns: tuple[str, ...] = ()  # names of the columns of a file that has no header
    # Names of columns. None: "text" and "label", or what COLUMNS has for the problem.
    text: str | None = None
    pair: str | None = None  # of the second text's; None: there is none
    label: str | None = None
    id: str | None = None  # two rows of a split with one id are an error
    labels: tuple[str, ...] = ()  # names, in the order of the outputs
    values: tuple[str, ...] = ()
    problem: str = SINGLE
    separator: str = ","  # between the labels of a multi-label row
    clean: bool = False  # as the original's clean_str: see data/clean.py
    encoding: str = "utf-8"
    skip_unlabelled: bool = False  # leave out rows whose label is missing; they are counted

    def __post_init__(self):
        if self.problem not in LEARNABLE:
            raise InputError(f"[task] problem={self.problem!r} is unknown; accepted: {', '.join(LEARNABLE)}.")
        for name, column in zip(NAMES, COLUMNS.get(self.problem, (*NAMES[:2], None, None)), strict=True):
            if getattr(self, name) is None:
                object.__setattr__(self, name, column)
        if not self.train:
            raise InputError("[task] names no training data; set train to a file or, with tfds, to a split.")
        for name in ("labels", "values", "columns"):
            entries = getattr(self, name)
            if len(set(entries)) < len(entries):
                raise InputError(f"[task] {name} = {list(entries)}: expected different names.")
        if self.values and len(self.values) != len(self.labels):
            raise InputError(f"[task] has {len(self.values)} values but {len(self.labels)} labels; give one for each.")
        if self.problem == REGRESSION and len(self.labels) > 1:
            raise InputError(f"[task] is a regression with {len(self.labels)} labels; expected at most one.")
        if self.problem in (SINGLE, TOKEN_LABELS) and len(self.labels) == 1:
            raise InputError("[task] has a single label; a classification needs at least two.")
        if not 0 <= self.dev_fraction < 1:
            raise InputError(f"[task] dev_fraction={self.dev_fraction}: expected at least 0 and less than 1.")
        if self.problem != MULTI and self.separator != ",":
            raise InputError(
                f"[task] separator={self.separator!r} stands between the labels of a multi-label row, and this is no "
                "multi-label task; between columns stands delimiter."
            )
        if self.problem == MULTI and not self.separator:
            raise InputError("[task] separator is empty; set what stands between the labels of a multi-label row.")
        if self.dev and self.dev_fraction:
            raise InputError("[task] has dev and dev_fraction; give one of them.")
        for name in FOREIGN.get(self.problem, ()):
            if getattr(self, name):
                raise InputError(f"[task] {name} does not go with problem={self.problem!r}; leave it out.")
        if self.problem == ANSWERS and self.labels not in ((), START_AND_END):
            raise InputError(f"[task] labels={list(self.labels)}: answers have none; leave them out.")

    @property
    def head(self) -> str:
        """What the model's head is for, one of TASKS."""
        return TEXT_LABELS if self.problem in PROBLEMS else self.problem
