"""ShortcutsConfig: how shortcuts are looked for. The one home of the defaults of `autorel shortcuts`."""

import dataclasses

from autorel_jax.options import check_options, option


@dataclasses.dataclass(frozen=True)
class ShortcutsConfig:
    """How shortcuts are looked for."""

    limit: int | None = option(None, "texts, drawn at random (default: all)", count=True)
    least: int = option(5, "texts that a candidate must be in", count=True)
    candidates: int = option(20, "words, and as many longer forms, that are tested for each label", count=True)
    tested: int = option(100, "texts in which each is deleted, and as many into which it is inserted", count=True)
    seed: int = option(0, "of what is drawn", least=0)

    def __post_init__(self):
        check_options(self)
