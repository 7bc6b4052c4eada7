"""A page of explanations as a browser shows it: what the text becomes, and that something is drawn."""

import re
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from explanations import explanation

from autorel_jax.report.output import open_writer

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
NASTY = "<script>document.title='run'</script> \"quoted\" & <img src=x onerror=\"document.title='run'\">"
DARK = "--blink-settings=preferredColorScheme=0"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser found: {', '.join(BROWSERS)}"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    with open_writer(path, "word") as write:
        write(explanation())
        write(explanation(NASTY, pair="فيلم جميل 🎬", id="<b>2</b>", warnings=("beware",)))
    return path


def browse(page, tmp_path, *flags):
    """Standard output of a fresh browser that opens the page."""
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def picture(page, tmp_path, *flags):
    """The colour of the top left pixel, and the share of bytes that are not as their neighbours predict."""
    path = tmp_path / "page.png"
    browse(page, tmp_path, "--window-size=800,600", f"--screenshot={path}", *flags)
    data, place, packed = path.read_bytes(), 8, b""
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        if data[place + 4 : place + 8] == b"IDAT":
            packed += data[place + 8 : place + 8 + size]
        place += size + 12
    scan = np.frombuffer(zlib.decompress(packed), np.uint8)  # a row is its filter, then the pixels filtered
    return tuple(scan[1:4].tolist()), float((scan != 0).mean())


@pytest.mark.parametrize(("flags", "background"), [((), (255, 255, 255)), ((DARK,), (0x16, 0x18, 0x1B))])
def test_something_is_drawn(page, tmp_path, flags, background):
    corner, drawn = picture(page, tmp_path, *flags)
    assert corner == background
    assert drawn > 0.02  # a blank page: under 0.005


def test_the_document_is_what_was_written(page, tmp_path):
    dom = browse(page, tmp_path, "--dump-dom")
    assert "<title>Explanations by tiny</title>" in dom  # nothing in the text has run
    assert not re.search("<script|<img|<b>", dom)
    assert "&lt;script&gt;document.title='run'&lt;/script&gt;" in dom
    assert len(re.findall("<article", dom)) == 2
    assert '<span class="unit" style="background:rgba(213,94,0,0.6)" title="+1.500">gorgeous,</span>' in dom
    assert "فيلم" in dom
    assert "Warning: beware" in dom
