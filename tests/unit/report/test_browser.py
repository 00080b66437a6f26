"""A page of hostile names in a real browser: no script runs, nothing is hidden."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from crossfade.report import write_report
from tests.unit.report.conftest import write_json
from tests.unit.report.evaluations import COMMAND, evaluated_comparison
from tests.unit.report.hostile import HOSTILE, JS
from tests.unit.report.test_page import Outline, change

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
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


def write_hostile(folder: Path, names: list[str]) -> Path:
    """A comparison in which everything that has a name has a hostile one."""
    refused = [{"path": name, "reason": "corrupt", "detail": name} for name in names]
    evaluated_comparison(
        folder,
        arms=names[:3],
        seeds=1,
        classes=names,
        root=f"/{names[3]}",
        refused=refused,
        ignored=names,
        duplicates=[names[:3]],
        config=f"model = {json.dumps(names[4].encode('utf-8', 'replace').decode())}\n",
        n=4,
        epochs=2,
        evaluation={"n": 4, "path": names[9]},
    )
    change(
        folder / "summary.json",
        verdict="no difference was shown " * 6 + " ".join(names[:4]),
        commands=names[:5],
        seeds=names[:1],
    )
    change(folder / "environment.json", **{names[2]: names[5], names[6]: 1})
    change(
        folder / "data.json",
        near_duplicates=[names[:2]],
        leaks=[{"kind": "identical", "parts": names[:2], "paths": names}],
        conflicts=[{"kind": names[0], "classes": names[1:3], "paths": names}],
        split_notes=names,
    )
    change(folder / "evaluation/evaluation.json", sentences=names)
    for path in folder.glob("arm-*/seed-*/evaluation/evaluation.json"):
        curve = {"title": names[7], "unit": names[8], "strengths": [1, 2], "accuracy": [0.5, 0.25]}
        change(path, robustness={"pictures": 3, "clean": 0.7, "curves": {names[9]: curve}}, argv=names[:4])
    write_json(folder / "command.json", COMMAND | {"argv": names})
    return folder


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("hostile") / f'"><svg onload={JS}>'
    return write_report(write_hostile(folder, HOSTILE)).read_text(encoding="utf-8")


def test_a_page_of_hostile_names_has_the_elements_of_one_with_plain_names(hostile_page, tmp_path):
    plain = write_report(write_hostile(tmp_path / "plain", [f"name {i}" for i in range(100)]))
    hostile, plain = Outline(hostile_page), Outline(plain.read_text(encoding="utf-8"))
    assert hostile.elements == plain.elements
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & {e[0] for e in hostile.elements}
    assert not [name for element in hostile.elements for name in element[1:] if name.startswith("on")]
    assert all(address.startswith(("#", "data:image/")) for address in hostile.addresses)
    assert hostile.addresses.count("data:") == 0
    assert hostile_page.count("<meta http-equiv") == hostile_page.count(WALL) == 1
    assert "49" not in "".join(h for h in hostile.headings)
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
