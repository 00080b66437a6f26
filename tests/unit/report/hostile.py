"""A hundred names that would run a script, or draw over the page, were they ever taken for markup; and their pages."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.unit.report.conftest import change, make_comparison, write_json
from tests.unit.report.evaluations import COMMAND, evaluated_comparison
from tests.unit.report.outline import Outline

JS = "parent.postMessage(location.href,`*`)"  # what a script that runs would do; no quotes, no spaces
SCRIPT = f"<script>{JS}</script>"

_ACTIVE = (
    SCRIPT,
    f"</title>{SCRIPT}",
    f"</style>{SCRIPT}",
    f"</svg>{SCRIPT}",
    f"</pre></details>{SCRIPT}",
    f"</textarea>{SCRIPT}",
    f"--><!-- -->{SCRIPT}",
    f"]]>{SCRIPT}",
    f"<img src=x onerror={JS}>",
    f"<svg onload={JS}>",
    f"<svg/onload={JS}>",
    f"<svg>{SCRIPT}</svg>",
    f"<math><mtext></mtext>{SCRIPT}</math>",
    f"<details open ontoggle={JS}>",
    f"<body onload={JS}>",
    f"<input autofocus onfocus={JS}>",
    f"<video><source onerror={JS}></video>",
    f"<iframe src=javascript:parent.{JS}>",
    f"<iframe srcdoc='<script>parent.{JS}</script>'>",
    f"<object data=javascript:{JS}>",
    f"<embed src=javascript:{JS}>",
    f"<a href=javascript:{JS}>x",
    f"<meta http-equiv=refresh content=0;url=javascript:{JS}>",
    f"<base href=javascript:{JS}//>",
    f"<template>{SCRIPT}",
    f'<noscript><p title="</noscript><img src=x onerror={JS}>">',
    f'" autofocus tabindex=0 onfocus="{JS}',
    f"' autofocus tabindex=0 onfocus='{JS}",
    f'" style="animation-name:x" onanimationstart="{JS}',
    "</style><style>*{display:none!important}",
    "<link rel=stylesheet href='data:text/css,*{display:none}'>",
)
_SLY = (
    "{{ 7*7 }}",
    "{% include 'page.css' %}",
    "{{ ''.__class__.__mro__ }}",
    "${7*7}",
    "#{7*7}",
    "$x^2$",
    "\\frac{1",
    "&lt;script&gt;1&lt;/script&gt;",
    "\\u003cscript\\u003e",
    "%3Cscript%3E",
    f"javascript:{JS}",
    f"JaVaScRiPt:{JS}",
    f"data:text/html,{SCRIPT}",
    f"url(javascript:{JS})",
    f"red;background:url(javascript:{JS})",
    f"expression({JS})",
    "*/}*{display:none}/*",
    f"\u202e{SCRIPT}",
    f"\x00{SCRIPT}",
    f"<scr\x00ipt>{JS}</scr\x00ipt>",
    f"caf\udce9{SCRIPT}",
    f"\ufeff{SCRIPT}",
    f"＜script＞{JS}＜/script＞",
    f"two\nlines{SCRIPT}",
    "A" * 5000 + SCRIPT,
    "../../etc/passwd",
    "日本語 👩\u200d🌾",
    "-rf --help; $(touch /tmp/x) `id`",
)
_CLOSING = [f'">{payload}' for payload in _ACTIVE] + [f"'/>{payload.upper()}" for payload in _ACTIVE[:20]]
HOSTILE = [*_ACTIVE, *_SLY, *_CLOSING][:100]
assert len(set(HOSTILE)) == 100


def write_named(folder: Path, names: Sequence[str], *, evaluated: bool = True) -> Path:
    """A comparison in which everything that has a name has one of these, which are ten or more."""
    options = {
        "arms": names[:3],
        "seeds": 1,
        "classes": names,
        "root": f"/{names[3]}",
        "refused": [{"path": name, "reason": "corrupt", "detail": name} for name in names],
        "ignored": names,
        "duplicates": [names[:3]],
        "config": f"model = {json.dumps(names[4].encode('utf-8', 'replace').decode())}\n",
        "n": 4,
        "epochs": 2,
    }
    if evaluated:
        evaluated_comparison(folder, **options, evaluation={"n": 4, "path": names[9]})
        _name_evaluation(folder, names)
    else:
        make_comparison(folder, **options)
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
    write_json(folder / "command.json", COMMAND | {"argv": names})
    return folder


def _name_evaluation(folder: Path, names: Sequence[str]) -> None:
    change(folder / "evaluation/evaluation.json", sentences=names)
    for path in folder.glob("arm-*/seed-*/evaluation/evaluation.json"):
        curve = {"title": names[7], "unit": names[8], "strengths": [1, 2], "accuracy": [0.5, 0.25]}
        change(path, robustness={"pictures": 3, "clean": 0.7, "curves": {names[9]: curve}}, argv=names[:4])


def check_markup(hostile: Outline, plain: Outline) -> None:
    """A page of hostile names has exactly the elements and attributes of the same page with plain ones."""
    assert hostile.elements == plain.elements
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & {e[0] for e in hostile.elements}
    assert not [name for element in hostile.elements for name in element[1:] if name.startswith("on")]
    assert all(address.startswith(("#", "data:image/")) for address in hostile.addresses)
    assert "49" not in "".join(hostile.headings)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", hostile.text)
