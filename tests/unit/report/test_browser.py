"""A page of hostile names in a real browser: no script runs, nothing is hidden."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from crossfade.report import write_report
from tests.unit.report.hostile import HOSTILE, JS, check_markup, write_named
from tests.unit.report.outline import Outline

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# One that .ci/run names must be there: only where nobody names one may the test be skipped.
BROWSER = os.environ.get("CROSSFADE_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
WALL = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'

HARNESS = """<!doctype html><meta charset="utf-8"><pre id="log">log:</pre>
<script>
onmessage = (event) => {
  let from = event.source
  while (from.parent !== window) from = from.parent
  const frame = [...document.querySelectorAll("iframe")].find((each) => each.contentWindow === from)
  document.getElementById("log").append(" " + frame.getAttribute("src"))
}
</script>
<iframe src="page.html"></iframe><iframe src="bare.html"></iframe><iframe src="walled.html"></iframe>
"""


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("hostile") / f'"><svg onload={JS}>'
    return write_report(write_named(folder, HOSTILE)).read_text(encoding="utf-8")


def test_a_page_of_hostile_names_has_the_elements_of_one_with_plain_names(hostile_page, tmp_path):
    plain = write_report(write_named(tmp_path / "plain", [f"name {i}" for i in range(100)]))
    hostile, plain = Outline(hostile_page), Outline(plain.read_text(encoding="utf-8"))
    check_markup(hostile, plain)
    assert hostile.addresses.count("data:") == 0
    assert hostile_page.count("<meta http-equiv") == hostile_page.count(WALL) == 1
    assert "{{ 7*7 }}" in hostile.text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine: apt-get install chromium")
def test_no_name_runs_a_script_in_a_browser(hostile_page, tmp_path):
    """Twice walled: by escaping alone, the policy taken off the page; and by the policy, with the names as they are.

    A third page, of names as they are and no policy, shows that a script would be noticed.
    """
    assert WALL in hostile_page
    names = "\n".join(HOSTILE[:31]).encode("utf-8", "replace").decode()
    (tmp_path / "page.html").write_text(hostile_page.replace(WALL, ""), encoding="utf-8")
    (tmp_path / "bare.html").write_text(f"<!doctype html><body>{names}", encoding="utf-8")
    (tmp_path / "walled.html").write_text(f"<!doctype html>{WALL}<body>{names}", encoding="utf-8")
    (tmp_path / "harness.html").write_text(HARNESS, encoding="utf-8")
    dom = dumped(tmp_path / "harness.html", tmp_path / "profile")
    ran = dom.partition("log:")[2].partition("</pre>")[0].split()
    assert set(ran) == {"bare.html"}


def dumped(page: Path, profile: Path) -> str:
    """The document after its scripts have run."""
    assert BROWSER
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    command += [
        "--no-first-run",
        "--disable-extensions",
        "--disable-background-networking",
        "--virtual-time-budget=4000",
    ]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, timeout=240, check=True)
    return done.stdout.decode("utf-8", "replace")
