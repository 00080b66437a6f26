"""A hundred names that would run a script, or draw over the page, were they ever taken for markup."""

from __future__ import annotations

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
