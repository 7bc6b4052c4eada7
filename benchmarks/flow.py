"""How far one sentence travels through the package: modules imported, files entered, hops between files, start-up.

    python benchmarks/flow.py

A hop is a call that enters another of our files than that of our innermost caller. Module bodies, comprehensions and
generators that go on are no calls of their own. Each figure is of `explain.py` with one sentence on the built-in
model, in fresh processes.
"""

import argparse
import collections
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SENTENCE = "a gorgeous, witty, seductive movie."
HIDDEN = ("<module>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>")


def traced(package: Path) -> dict[str, object]:
    """Runs the command in this process under `sys.setprofile` and counts."""
    from autorel_jax.cli.explain import main

    entered: collections.Counter[str] = collections.Counter()
    hops: collections.Counter[tuple[str, str]] = collections.Counter()
    started = set()
    prefix = str(package) + os.sep

    def ours(frame):
        while frame is not None:
            if frame.f_code.co_filename.startswith(prefix):
                return frame.f_code.co_filename[len(prefix) :]
            frame = frame.f_back
        return None

    def profile(frame, event, argument):
        code = frame.f_code
        if event != "call" or code.co_name in HIDDEN or not code.co_filename.startswith(prefix):
            return
        if frame.f_lasti > 10 and code.co_flags & 0x20:  # a generator that goes on
            return
        here, before = code.co_filename[len(prefix) :], ours(frame.f_back)
        started.add(here)
        if here != before:
            entered[here] += 1
            hops[before or "", here] += 1

    sys.setprofile(profile)
    try:
        main([SENTENCE])
    finally:
        sys.setprofile(None)
    imported = [name for name in sys.modules if name.split(".")[0] == "autorel_jax"]
    return {"modules": len(imported), "files": len(started), "hops": sum(hops.values()), "entered": entered, "by": hops}


def seconds(cache: str, times: int) -> float:
    """The median time of the whole command with compiled programs kept in a folder."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        code = "import sys; from autorel_jax.cli.explain import main; sys.exit(main())"
        command = [sys.executable, "-c", code, SENTENCE]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        found.append(time.perf_counter() - begun)
    return statistics.median(found)


def main() -> None:
    """Prints the table."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--verbose", action="store_true", help="every file and every pair of files")
    flags.add_argument("--times", type=int, default=5, help="runs of the command for each start-up time")
    asked = flags.parse_args()
    import autorel_jax

    with tempfile.TemporaryDirectory() as cache:
        cold, warm = seconds(cache, 1), seconds(cache, asked.times)
    found = traced(Path(autorel_jax.__file__).parent)
    print(
        f"modules imported  {found['modules']}\nfiles entered     {found['files']}\nhops              {found['hops']}"
    )
    print(f"whole command: {cold:.2f} s cold, {warm:.2f} s warm (median of {asked.times})")
    if asked.verbose:
        for name in ("entered", "by"):
            for place, count in found[name].most_common():
                print(f"{count:4}  {place if name == 'entered' else ' -> '.join(place)}")


if __name__ == "__main__":
    main()
