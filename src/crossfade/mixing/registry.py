"""Methods by name, as the command line and recipes write them: ``cutmix:alpha=1.0,p=0.5``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from crossfade.errors import ConfigError, PlanError
from crossfade.mixing.blend import MixUp
from crossfade.mixing.box import CutMix
from crossfade.mixing.choice import OneOf, Sometimes, Until
from crossfade.mixing.policy import NoMix, Policy

METHODS: dict[str, type[Policy]] = {"none": NoMix, "mixup": MixUp, "cutmix": CutMix}
COMPOSED: dict[str, type[Policy]] = {"oneof": OneOf, "sometimes": Sometimes, "until": Until}
WRAPPERS = ("p", "until")


def policy_from_spec(spec: str, defaults: Mapping[str, Any] | None = None) -> Policy:
    """The policy that a text such as ``"mixup"``, ``"mixup:alpha=0.4"`` or ``"cutmix:p=0.5,until=0.8"`` names.

    ``p`` wraps the method in `Sometimes`, ``until`` in `Until`; the other options are the method's own.

    Args:
        spec: the text.
        defaults: options that hold where the text has none and the method knows them; None is no option.

    Raises:
        ConfigError: an unknown method or option (with the nearest names), or a value it refuses.
    """
    name, _, text = spec.strip().partition(":")
    if name not in METHODS:
        raise ConfigError(f"mix: {_unknown('method', name, list(METHODS))}")
    method = METHODS[name]
    known = [field.name for field in fields(method)]  # type: ignore[arg-type]
    options = [_option(spec, part, [*known, *WRAPPERS]) for part in text.split(",") if part.strip()]
    given = dict(options)
    if len(given) < len(options):
        raise ConfigError(f"mix {spec!r}: says an option twice. Say it once.")
    inherited = {key: value for key, value in (defaults or {}).items() if key in known and value is not None}
    try:
        policy = method(**inherited | {key: value for key, value in given.items() if key not in WRAPPERS})
        if "p" in given:
            policy = Sometimes(policy, given["p"])
        return Until(policy, given["until"]) if "until" in given else policy
    except PlanError as error:
        raise ConfigError(f"mix {spec!r}: {error}") from error


def policy_to_dict(policy: Policy, name_of: Callable[[type], str] = lambda kind: kind.__name__) -> dict[str, Any]:
    """The policy as a dict that JSON can hold, composed ones too: ``{"method": "mixup", "alpha": 0.2, ...}``.

    Args:
        policy: a dataclass, as all of crossfade's are.
        name_of: what a class that is not crossfade's is called.

    Raises:
        ConfigError: it is no dataclass.
    """
    if not is_dataclass(policy):
        raise ConfigError(f"policy_to_dict: can write a policy that is a dataclass. Got {type(policy).__name__}.")
    names = {kind: name for name, kind in (METHODS | COMPOSED).items()}
    options = {field.name: _written(getattr(policy, field.name), name_of) for field in fields(policy)}
    return {"method": names.get(type(policy)) or name_of(type(policy)), **options}


def policy_from_dict(record: Mapping[str, Any], find: Callable[[str], Any] = lambda name: None) -> Policy:
    """Read what `policy_to_dict` wrote.

    Args:
        record: the dict.
        find: gives the class of a name that is not crossfade's, or None.

    Raises:
        ConfigError: a method that nobody knows, or options it does not take.
    """
    name = record.get("method")
    kind = (METHODS | COMPOSED).get(str(name)) or find(str(name))
    if kind is None:
        raise ConfigError(f"mix: {_unknown('method', str(name), [*METHODS, *COMPOSED])}")
    try:
        policy = kind(**{key: _read(value, find) for key, value in record.items() if key != "method"})
    except (TypeError, PlanError) as error:
        raise ConfigError(f"mix {name!r}: {error}") from error
    if not isinstance(policy, Policy):
        raise ConfigError(f"mix: {name!r} must name a policy. Got {kind!r}.")
    return policy


def _written(value: Any, name_of: Callable[[type], str]) -> Any:
    if isinstance(value, tuple):
        return [_written(part, name_of) for part in value]
    return policy_to_dict(value, name_of) if isinstance(value, Policy) else value


def _read(value: Any, find: Callable[[str], Any]) -> Any:
    if isinstance(value, list | tuple):
        return [_read(part, find) for part in value]
    return policy_from_dict(value, find) if isinstance(value, Mapping) else value


def _option(spec: str, part: str, known: list[str]) -> tuple[str, Any]:
    key, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals or not value:
        raise ConfigError(f"mix {spec!r}: options are written name=value, after a colon. Got {part!r}.")
    if key not in known:
        raise ConfigError(f"mix {spec!r}: {_unknown('option', key, known)}")
    return key, _value(value)


def _value(text: str) -> bool | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text


def _unknown(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"no {kind} is called {name!r}.{hint} There are {', '.join(known)}."
