"""The command line: `python -m collectors run | relay | check | add | change | remove | alerts | password | pause |
resume | exclude | rename | delete | export | import | backup | restore | repair | rebuild | remove-future`.

Each command is one file. What a command needs is imported when it runs, so that a run with nothing due stays quick.
"""

from __future__ import annotations

import json
import sys
import traceback
from typing import Annotated

import typer

from cli import (
    add,
    alerts,
    backup,
    change,
    check,
    delete,
    exclude,
    export,
    import_,
    password,
    pause,
    rebuild,
    relay,
    remove_future,
    rename,
    run,
)
from cli.streams import OutputError, ReaderLeftError, take_over
from settings.secrecy import hidden
from settings.version import VERSION

OK, BROKEN, WRONG_USE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
UNEXPECTED = "this is a bug in Uptoken: please report it with the traceback above (keys are removed from it)"

app = typer.Typer(
    name="python -m collectors",
    help="Probe language models, record the results, and export them.",
    epilog="Exit codes: 0 done, 1 the collector has stopped (check --health), 2 the configuration or a flag is wrong, "
    "3 the store or this machine failed (disk, memory, output), 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"uptoken {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", help="Show Uptoken's version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Probe language models, record the results, and export them."""


app.command("run")(run.run)
app.command("relay")(relay.relay)
app.command("check")(check.check)
app.command("add")(add.add)
app.command("change")(change.change)
app.command("remove")(change.remove)
app.command("password")(password.password)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.command("exclude")(exclude.exclude)
app.command("rename")(rename.rename)
app.command("delete")(delete.delete)
app.add_typer(alerts.app, name="alerts")
app.command("export")(export.export)
app.command("import")(import_.import_)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("repair")(backup.repair)
app.command("rebuild")(rebuild.rebuild)
app.command("remove-future")(remove_future.remove_future)


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
        code = app(standalone_mode=False)
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
