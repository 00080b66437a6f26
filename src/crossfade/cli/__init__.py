"""The command line: one file per command, each of which parses, calls and prints."""

from __future__ import annotations

import importlib
import inspect
import sys

from crossfade.cli.stopping import Terminated, stopped_by_signals

COMMANDS = {
    "demo": "Compare arms on scikit-learn's handwritten digits: the whole thing in two minutes.",
    "scan": "Say what is in a folder of pictures, and what is refused and why.",
    "preview": "Draw the classes, preprocessing and mixed pictures, with their label weights.",
    "check": "Overfit a few pictures on purpose: can this network learn at all, and if not, why?",
    "lr": "Find the learning rate: a few side by side, or a range test; or draw a schedule.",
    "ablate": "Does more data help, or more mixing? Arms compared on fewer and more pictures.",
    "train": "Train one network.",
    "resume": "Go on with what was stopped: a training, a comparison, a step of the method.",
    "compare": "Train several arms fairly and say whether mixing helps.",
    "tune": "Search method, alpha and rates, then try the winner on fresh seeds.",
    "evaluate": "Say what a run is worth: metrics with intervals, calibration, hardest pictures, robustness.",
    "predict": "Name the classes of single pictures with a trained run.",
    "report": "Write the page of a run again.",
    "export": "Write a trained run as ONNX, or as a folder for a model hub.",
    "doctor": "Measure what holds a training back: disk, decoding, augmentation or model.",
}

EPILOGUE = """Begin with crossfade demo, or with crossfade scan PHOTOS, check PHOTOS and compare PHOTOS.

crossfade COMMAND --help tells its options. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 or 143 stopped."""

_ARMS = "Say --arm, once for each way to mix, such as --arm none --arm mixup."
_SEEDS = "Say --seeds, how many or which, such as --seeds 3."
_MIX = "Say --mix, such as --mix mixup."
_SEED = "Say --seed, such as --seed 0; crossfade compare takes several."
_ONE = {"--arm": _MIX, "--seeds": _SEED}
_SEVERAL = {"--mix": _ARMS, "--seed": _SEEDS}
ELSEWHERE = {  # flags that other commands have
    **dict.fromkeys(("train", "check", "lr", "doctor"), _ONE),
    **dict.fromkeys(("compare", "ablate"), _SEVERAL),
    "tune": {"--mix": _ARMS},
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 1 failed, 2 wrong usage, 130/143 stopped."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        from crossfade.memory import keep_freed_memory

        keep_freed_memory()
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Errors of ours are one sentence on standard error."""
    try:
        with stopped_by_signals():
            return _run(arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "crossfade":
            raise
        return _say(f"{error.name} is not installed. Run: pip install 'crossfade[workbench]'.", 1)
    except Terminated:
        return _say("stopped by SIGTERM", 143)
    except KeyboardInterrupt:
        return _say("stopped by Ctrl-C", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except MemoryError as error:
        return _say(
            f"more memory is needed than there is ({str(error) or 'out of memory'}). Try a smaller size or batch size.",
            1,
        )
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        return _say(f"{error.strerror or error}{place}. What was written before stands.", 1)


def _run(arguments: list[str]) -> int:
    from cyclopts import CycloptsError

    from crossfade.errors import ConfigError, CrossfadeError

    command = next((one for one in arguments[:1] if one in COMMANDS), "")
    try:
        # A lone hyphen is a name, of whatever is piped in, and no option.
        arguments = ["./-" if one == "-" else one for one in arguments]
        result = _app(command)(arguments, exit_on_error=False, print_error=False)
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        return _say(f"{_letter(error, command)}\nTry crossfade {command}{' ' if command else ''}--help.", 2)
    except ConfigError as error:
        return _say(str(error), 2)
    except CrossfadeError as error:
        return _say(str(error), getattr(error, "exit_code", 1))


def _letter(error: Exception, command: str) -> str:
    """What was wrong with the words of the command line."""
    from cyclopts import UnknownOptionError, UnusedCliTokensError

    if isinstance(error, UnknownOptionError) and (flag := error.token.keyword) in ELSEWHERE.get(command, {}):
        return f"{command}: there is no {flag}. {ELSEWHERE[command][flag]}"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        more = ", ".join(map(repr, error.unused_tokens))
        return f"{command}: takes no more words. Got {more}, too. Quote names with spaces; a flag takes one value."
    return str(error)


def _app(command: str):
    """The commands; only of the one that is run is anything imported."""
    from cyclopts import App, Parameter

    from crossfade import __version__

    app = App(
        name="crossfade",
        help="Sample mixing for image classifiers: does it help on your pictures?",
        help_epilogue="" if command else EPILOGUE,
        version=f"crossfade {__version__}",
        help_format="plaintext",
        default_parameter=Parameter(show_default=lambda value: None if value is False else value),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for i, (name, words) in enumerate(COMMANDS.items()):
        told = _description(name) if name == command else words
        app.command(f"crossfade.cli.{name}:{name}", name=name, help=told, sort_key=i)
    return app


def _description(name: str) -> str:
    """The docstring of a command, each paragraph one line, which the help wraps."""
    text = inspect.getdoc(getattr(importlib.import_module(f"crossfade.cli.{name}"), name)) or ""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _say(words: str, code: int) -> int:
    """A letter may name files and tensors of others: what would steer a terminal is shown escaped."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in words)
    print(f"crossfade: {shown}", file=sys.stderr)
    return code
