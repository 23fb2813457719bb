"""The verbs put together, and errors turned into one line and an exit code.

Exit codes: 0 done; 3 done, with inputs that were rejected or failed; 2 usage or configuration;
1 our bug; 75 stopped by the machine or the user, may be run again.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hilum.cli import (
    audit,
    bundle,
    cache,
    calibrate,
    check,
    compare,
    deidentify,
    demo,
    doctor,
    errors,
    evaluate,
    export,
    export_table,
    fetch,
    import_,
    localize,
    merge,
    node,
    phantom,
    plan,
    predict,
    probe,
    readers,
    report,
    rule_out,
    serve,
    terminal,
    train,
    upgrade,
    watch_check,
    watch_fit,
    worklist,
)
from hilum.cli.dicom_option import DicomCommand
from hilum.domain.errors import HilumError, UsageError, suggestion

__all__ = ["app", "command", "main"]

INTERRUPTED = 130
"""What typer makes of a KeyboardInterrupt inside a verb."""
STOPPED = "stopped; what was finished is kept"
LAB = ("h5py", "torch", "torchvision", "timm", "safetensors", "onnx", "onnxscript", "onnxruntime")
"""What the extras of the lab bring; predicting and evaluating need none of it."""
TRY_AGAIN = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO),
    *(errno.EMFILE, errno.ENFILE),
)
MISPLACED = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
"""A file stands where a folder must, or the other way round."""


CLOSE = 0.75
"""Likeness of a word to a verb that it may be meant for: `evalute`, but not `serve` for `merge`."""


class VerbList(TyperGroup):
    """The verbs, listed without rich: importing it takes as long as everything else of the list."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.rich_markup_mode = None
        self.suggest_commands = False

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb that the first word names; a word close to one is pointed to."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = suggestion(args[0], self.commands, CLOSE) or " `hilum --help` lists all."
            raise UsageError(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="hilum",
    cls=VerbList,
    help="From raw chest radiographs to calibrated, explained, reported findings. "
    "Research software, not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    """Print the version and stop, for `hilum --version`."""
    if wanted:
        from hilum import __version__

        typer.echo(f"hilum {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True),
    ] = False,
) -> None:
    """Take the options that stand before a verb."""


app.command()(demo.demo)
app.command()(phantom.phantom)
app.command()(check.check)
app.command()(cache.cache)
app.command()(train.train)
app.command("import")(import_.import_)
app.command()(calibrate.calibrate)
app.command()(evaluate.evaluate)
app.command()(compare.compare)
app.command()(errors.errors)
app.command()(audit.audit)
app.command("rule-out")(rule_out.rule_out)
app.command()(readers.readers)
app.command()(probe.probe)
app.command()(upgrade.upgrade)
app.command()(worklist.worklist)
app.command()(localize.localize)
app.command()(bundle.bundle)
app.command()(export.export)
app.command(cls=DicomCommand)(predict.predict)
app.command()(plan.plan)
app.command()(merge.merge)
app.command("export-table")(export_table.export_table)
app.command()(deidentify.deidentify)
app.command()(fetch.fetch)
app.command()(report.report)
watch = typer.Typer(help="Watch films and scores for changes, without labels.")
watch.command("fit")(watch_fit.watch_fit)
watch.command("check")(watch_check.watch_check)
app.add_typer(watch, name="watch")
app.add_typer(serve.app)
app.add_typer(node.app)
app.command()(doctor.doctor)


def command() -> None:
    """The `hilum` command: `main`, whose end is the end of the process.

    A network and all modules are not freed one by one before, which would take longer than to
    score some films. Where torch was loaded they are: it has processes and files to close.
    """
    try:
        main()
    except SystemExit as ended:
        if "torch" in sys.modules or not isinstance(ended.code, int):
            raise
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            raise ended from None  # Python's own end says what a pipe or disk did not take
        os._exit(ended.code)


def main() -> None:
    """Run the command line; ends in SystemExit with the exit code."""
    try:
        code = app(standalone_mode=False)
    except HilumError as error:
        _fail(str(error), terminal.USAGE)
    except KeyboardInterrupt:
        _fail(STOPPED, terminal.AGAIN)
    except MemoryError:
        _fail("out of memory; use smaller batches or a machine with more", terminal.AGAIN)
    except ChildProcessError as error:
        _fail(str(error), terminal.AGAIN)
    except OSError as error:
        if error.errno not in (*TRY_AGAIN, *MISPLACED):
            raise
        code = terminal.AGAIN if error.errno in TRY_AGAIN else terminal.USAGE
        _fail(f"cannot write {error.filename or 'the output'}: {error.strerror}", code)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in LAB:
            raise
        extra = {"onnxruntime": "train,onnxruntime", "h5py": "keras-files"}.get(missing, "train")
        _fail(
            f"this needs {missing}, which is not installed; install hilum[{extra}]", terminal.USAGE
        )
    except typer.Abort:
        _fail("stopped", terminal.AGAIN)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own errors
            raise
        _fail(_usage(error), terminal.USAGE)
    else:
        if code == INTERRUPTED:
            _fail(STOPPED, terminal.AGAIN)
        sys.exit(code or 0)


def _usage(error: Any) -> str:
    """A mistake that typer found, in our words where a word is not in a closed list."""
    message = error.format_message().replace(": Value error, ", ": ")
    parameter = getattr(error, "param", None)
    words = getattr(getattr(parameter, "type_descriptor", None), "choices", None)
    wrong = re.search(r"'([^']*)' is not one of", message)
    if parameter is None or not words or wrong is None:
        return message
    return (
        f"{parameter.opts[0]} must be one of {', '.join(words)}; got '{wrong[1]}'."
        f"{suggestion(wrong[1], words)}"
    )


def _fail(message: str, code: int) -> None:
    with suppress(OSError):  # a full disk may hold stderr too; the code must get through
        sys.stderr.write(f"hilum: {message}\n")
    sys.exit(code)
