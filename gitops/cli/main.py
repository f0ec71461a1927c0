"""The command `toweros`: finds the verbs, and is the only place that turns errors into text and exit codes.

Each verb is a module of this folder, or of one below it, with `register(app)`. Exit codes: 0 done; 1 any failure, usage
included; 2 only for `plan --detailed-exitcode` with changes; 130 interrupted; 141 whoever read stdout has gone.
"""

import errno
import importlib
import logging
import os
import pkgutil
import re
import signal
import sys

import structlog
import typer
from typer.exceptions import TyperException

import gitops.cli
from gitops import __version__
from gitops.cli import INTERRUPTED
from gitops.cli.media.linuxkits import instead
from gitops.cli.output import talk
from gitops.cli.showing.groups import ByDay, arrange
from gitops.cli.showing.left import left, watched
from gitops.errors import TowerosError

NOT_VERBS = {"addresses", "adopt", "box_image", "context", "deployments", "firmware", "hosts", "main", "output"}
NOT_VERBS |= {"passphrase", "linuxkits", "login", "machine", "secret", "sizes", "token_keys", "granting", "wipe"}
NOT_VERBS |= {"recorded", "unknown"}
NO_VERBS_IN = re.compile(r"\.showing\.|\.remote\.|\.completing\.(?!completion)")
"""What several verbs share; what a verb is made of."""
VERSION = ("--version", "-V")
NOBODY_READS = 141
"""128 and the signal's number, as shells have it."""


def application() -> typer.Typer:
    """The whole command, with every verb registered below its heading."""
    app = typer.Typer(
        name="toweros",
        cls=ByDay,
        help="Git commits become signed, verified operating-system images on a fleet of boxes.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for module in _modules(sys.argv[1:]):
        importlib.import_module(module).register(app)
    arrange(app)
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
    return {verb: name for verb, name in names.items() if verb not in NOT_VERBS and not NO_VERBS_IN.search(name)}


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
        usage = instead(sys.argv[1:]) if str(error) else None
        usage = usage or _misused(error)
        code = _say(usage) if usage.message else usage.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer goes nowhere
        code = NOBODY_READS
    except TowerosError as error:
        code = _say(error)
    except Exception as error:
        if "TOWEROS_DEBUG" in os.environ:
            raise
        code = _say(_told(error))
    if code == INTERRUPTED:  # typer makes it of Ctrl-C within a verb
        _say_interrupted(sys.argv[1:])
    sys.exit(code if isinstance(code, int) else 0)


def _say_interrupted(words: list[str]) -> None:
    if not watched(words):
        talk.print("interrupted")
        if sentence := left(words):
            talk.say("left:", "yellow", sentence)


def _misused(error: TyperException) -> TowerosError:
    """Which option or argument it is about, and whose help has it."""
    words, context = list[str](), getattr(error, "ctx", None)
    while context and context.parent:
        words, context = [context.info_name or "", *words], context.parent
    message = error.format_message() if str(error) else ""
    return TowerosError(message, hint=f"`{' '.join(['toweros', *words, '--help'])}` has what it takes")


def _told(error: Exception) -> TowerosError:
    """What nobody foresaw; of the system's own refusals most are about a path that somebody named."""
    if isinstance(error, OSError) and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
        hint = "is the disk full, or damaged?" if full else "name another path, or fix its permissions"
        where = f"{error.filename}: " if error.filename else ""
        return TowerosError(f"{where}{error.strerror}", hint=hint)
    return TowerosError(f"unexpected: {type(error).__name__}: {error}", hint="set TOWEROS_DEBUG=1 to see where")


def _say(error: TowerosError) -> int:
    talk.say("error:", "red", error.message)
    if error.hint:
        talk.say("hint:", "yellow", error.hint)
    return error.exit_code
