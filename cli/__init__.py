"""The command line: `python -m collectors run | relay | check | add | change | remove | alerts | password | pause |
resume | exclude | rename | delete | export | import | backup | restore | repair | rebuild | remove-future`.

Each command is one file. It is imported when it is called, and what it needs when it runs, so that a run with nothing
due stays quick.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from typing import Annotated

import typer

from cli.streams import OutputError, ReaderLeftError, take_over
from settings.secrecy import hidden
from settings.version import VERSION

OK, BROKEN, WRONG_USE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
UNEXPECTED = "this is a bug in Uptoken: please report it with the traceback above (keys are removed from it)"

COMMANDS = {
    "run": "run.run",
    "relay": "relay.relay",
    "check": "check.check",
    "add": "add.add",
    "change": "change.change",
    "remove": "change.remove",
    "password": "password.password",  # nosec B105  a module and its function
    "pause": "pause.pause",
    "resume": "pause.resume",
    "exclude": "exclude.exclude",
    "rename": "rename.rename",
    "delete": "delete.delete",
    "export": "export.export",
    "import": "import_.import_",
    "backup": "backup.backup",
    "restore": "backup.restore",
    "repair": "backup.repair",
    "rebuild": "rebuild.rebuild",
    "remove-future": "remove_future.remove_future",
    "alerts": "alerts.app",
}
"""Where each of them is, below `cli`."""


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"uptoken {VERSION}")
        raise typer.Exit


def no_command(
    _version: Annotated[
        bool, typer.Option("--version", help="Show Uptoken's version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Probe language models, record the results, and export them."""


def command_line(word: str = "") -> typer.Typer:
    """The command that a word names, or all of them: to make the options of twenty takes as long as a short run."""
    app = typer.Typer(
        name="python -m collectors",
        help="Probe language models, record the results, and export them.",
        epilog="Exit codes: 0 done, 1 the collector has stopped (check --health), 2 the configuration or a flag is "
        "wrong, 3 the store or this machine failed (disk, memory, output), 130 interrupted.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(no_command)
    for name in [word] if word in COMMANDS else COMMANDS:
        module, _, attribute = COMMANDS[name].partition(".")
        command = getattr(importlib.import_module(f"cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line; every expected failure is one sentence on standard error and an exit code."""
    from collectors.http.authorities import AuthoritiesError
    from collectors.http.own_limits import own_limit
    from settings.secrecy import redacted
    from settings.targets import ConfigError
    from store import StoreError, StoreUrlError
    from store.formats import FileError

    take_over()
    try:
        code = command_line(*sys.argv[1:2])(standalone_mode=False)
        sys.stdout.flush()
    except ReaderLeftError:
        sys.exit(OK)
    except (AuthoritiesError, ConfigError, FileError, StoreUrlError) as problem:
        sys.exit(_fail(problem, WRONG_USE))
    except (OSError, OutputError, StoreError) as problem:
        sys.exit(_fail(problem, FAILED))
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.Exit as problem:
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except typer.TyperException as problem:
        sys.exit(_fail(f"{problem.format_message()} (see --help)", WRONG_USE))
    except Exception as problem:  # noqa: BLE001  a traceback could hold a key: requests puts headers into its messages
        if limit := own_limit(problem):
            sys.exit(_fail(limit, FAILED))
        print(hidden(redacted(traceback.format_exc())), file=sys.stderr)
        sys.exit(_fail(UNEXPECTED, BROKEN))
    sys.exit(code if isinstance(code, int) else OK)


def _fail(problem: Exception | str, code: int) -> int:
    """Print an error: with `--json` as the one document on standard output, else as a sentence on standard error."""
    message = hidden(str(problem))
    if "--json" in sys.argv[1:]:
        print(json.dumps({"error": message, "exit_code": code}), flush=True)
    else:
        print(message, file=sys.stderr)
    return code
