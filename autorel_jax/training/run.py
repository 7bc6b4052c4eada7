"""Run: a TrainConfig -> a fine-tuned classifier. `train` is the call. Used by cli/train.py."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from autorel_jax.errors import InputError, out_of_memory
from autorel_jax.training.config import TrainConfig

if TYPE_CHECKING:
    from autorel_jax.training.finish import Trained

PACKAGES = ("optax", "orbax", "sklearn", "tensorboardX", "tomli_w")  # of the extra "train"


def train(
    config: TrainConfig,
    *,
    resume: bool = False,
    early: bool = False,
    devices: Sequence[Any] | None = None,
    listen: Callable[[], AbstractContextManager[Callable[[], int]]] = lambda: contextlib.nullcontext(lambda: 0),
    show: Callable[[str], None] = print,
    command: str = "",
) -> Trained:
    """Trains a classifier and writes it to `config.output / "model"`.

    Args:
      config: what is trained on what.
      resume: goes on with the run in `config.output`, if there is one.
      early: with `resume`, ends the run where it stands: its best checkpoint is the result, and no step is taken.
      devices: that share the work; None is all there are.
      listen: entered while steps are taken; what it yields is asked after each step and each batch of an evaluation
        between them, where a signal's number ends the run after a checkpoint.
      show: prints a line for the user; only the first of several processes calls it.
      command: the command line, for the model card.

    Raises:
      InputError: the config, the data, the disk or the device's memory do not allow it; the loss is not finite; the
        last good checkpoint stays.
      SystemExit: a signal ended the run: 128 + its number.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"training needs {', '.join(missing)}; run: pip install 'autorel-jax[train]'")
    from autorel_jax import sharding
    from autorel_jax.training import folder
    from autorel_jax.training.finish import finish
    from autorel_jax.training.loop import run
    from autorel_jax.training.prepare import check_processes_agree, prepare

    def checked() -> Any:
        folder.check(config, resume)
        return prepare(config, devices, show)

    prepared = sharding.together(checked)
    check_processes_agree(prepared)
    with contextlib.ExitStack() as stack:

        def begun() -> str:
            if not prepared.is_first:
                return command
            stack.enter_context(folder.held(config.output))
            return folder.begin(config, command)

        head = sharding.together(begun)
        stack.enter_context(fits())
        with listen() as stop:
            outcome = run(prepared, stop, early)
        if outcome.stopped_by:
            name = signal.Signals(outcome.stopped_by).name
            prepared.show(f"{name}: stopped after step {outcome.step}; add --resume to go on.")
            raise SystemExit(128 + outcome.stopped_by)
        return finish(prepared, outcome, head)


@contextlib.contextmanager
def fits() -> Iterator[None]:
    """Says what to do where the memory runs out, the device's or that of the host."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # JAX's is a RuntimeError, NumPy's a MemoryError
        if isinstance(error, RuntimeError) and not out_of_memory(error):
            raise
        whose = "the" if isinstance(error, MemoryError) else "the device's"
        raise InputError(
            f"{whose} memory ran out; give another --output and --accumulation 2 or more, --remat, "
            "--dtype bfloat16, a smaller --max-length, or, where it came in an evaluation, a smaller --eval-batch-size."
        ) from None
