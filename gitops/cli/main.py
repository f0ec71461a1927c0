"""The command `toweros`: finds the verbs, and is the only place that turns errors into text and exit codes.

Each verb is a module of this folder, or of one below it, with `register(app)`. Exit codes: 0 done; 1 any failure, usage
included; 2 only for `plan --detailed-exitcode` with changes; 130 interrupted.
"""

import importlib
import logging
import os
import pkgutil
import signal
import sys

import structlog
import typer
from rich.markup import escape
from typer.exceptions import TyperException

import gitops.cli
from gitops import __version__
from gitops.cli.output import printable, talk
from gitops.errors import TowerosError

NOT_VERBS = {"adopt", "box_image", "context", "deployments", "firmware", "hosts", "main", "output", "passphrase"}
NOT_VERBS |= {"login", "machine", "secret", "sizes", "tokens", "wipe"}
VERSION = ("--version", "-V")
INTERRUPTED = 130


def application() -> typer.Typer:
    """The whole command, with every verb registered in alphabetical order."""
    app = typer.Typer(
        name="toweros",
        help="Git commits become signed, verified operating-system images on a fleet of boxes.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module in _modules(sys.argv[1:]):
        importlib.import_module(module).register(app)
    return app


def _modules(words: list[str]) -> list[str]:
    """The module of the verb that was asked for; all of them when none was (they take seconds to load)."""
    modules = verbs()
    if words[:1] and words[0] in VERSION:
        return [modules["version"]]
    asked = [word for word in words if not word.startswith("-")][:1]
    return [modules[asked[0]]] if asked and asked[0] in modules else [modules[name] for name in sorted(modules)]


def verbs() -> dict[str, str]:
    """Each verb's module, by the verb."""
    modules = {info.name: info for info in pkgutil.walk_packages(gitops.cli.__path__, "gitops.cli.")}
    names = {name.rpartition(".")[2]: name for name, info in modules.items() if not info.ispkg}
    return {verb: name for verb, name in names.items() if verb not in NOT_VERBS}


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _root(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is done, on stderr."),
    _: bool = typer.Option(False, *VERSION, help="Print the version.", callback=_print_version, is_eager=True),
) -> None:
    configure_logging(logging.DEBUG if verbose else logging.WARNING)


def configure_logging(level: int) -> None:
    """Log lines go to stderr as `time level event key=value`; never to stdout."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def main() -> None:
    """Run the command line; no traceback reaches a user unless TOWEROS_DEBUG is set."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # so that what we started is ended on the way out
        signal.signal(ending, signal.default_int_handler)
    try:
        code = application()(standalone_mode=False)
    except TyperException as error:
        usage = TowerosError(str(error), hint="see `toweros --help`, or --help after the verb")
        code = _say(usage) if usage.message else usage.exit_code
    except (KeyboardInterrupt, typer.Abort):
        talk.print("interrupted")
        code = INTERRUPTED
    except TowerosError as error:
        code = _say(error)
    except Exception as error:
        if "TOWEROS_DEBUG" in os.environ:
            raise
        code = _say(
            TowerosError(f"unexpected: {type(error).__name__}: {error}", hint="set TOWEROS_DEBUG=1 to see where")
        )
    sys.exit(code if isinstance(code, int) else 0)


def _say(error: TowerosError) -> int:
    talk.print(f"[red]error:[/red] {escape(printable(error.message))}", soft_wrap=True)
    if error.hint:
        talk.print(f"[yellow]hint:[/yellow] {escape(printable(error.hint))}", soft_wrap=True)
    return error.exit_code
