"""Record: what a part of gpu.py found, item by item, in a file that grows as they are found."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Record:
    """The items of a part. A fault is an item too, and so is one for which no time was left."""

    def __init__(self, path: Path, small: bool, deadline: float):
        self.path, self.small, self.deadline = path, small, deadline
        self.items: dict[str, dict[str, Any]] = {}
        if path.exists():
            self.items = json.loads(path.read_text())["items"]

    def item(self, name: str, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What `find` returns, or why it did not; what an earlier run found is not computed again."""
        known = self.items.get(name)
        if known and not {"error", "skipped"} & known.keys():
            return known
        if time.monotonic() > self.deadline:
            found: dict[str, Any] = {"skipped": "no time left"}
        else:
            begun = time.monotonic()
            try:
                found = find()
            except Exception as error:  # of any kind: the other items are still wanted
                found = {"error": f"{type(error).__name__}: {error}"[:400]}
            found["took_s"] = round(time.monotonic() - begun, 1)
        self.items[name] = found
        self._write(finished=False)
        print(f"{self.path.stem}: {name}: {found}", flush=True)
        return found

    @property
    def seconds_left(self) -> float:
        """Until the part should have ended."""
        return self.deadline - time.monotonic()

    def finish(self) -> None:
        """Marks the part as done, if nothing was skipped or failed."""
        self._write(finished=not any({"error", "skipped"} & item.keys() for item in self.items.values()))

    def _write(self, finished: bool) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps({"finished": finished, "items": self.items}, indent=1))
        os.replace(draft, self.path)
