"""Commands without the seconds that importing other people's libraries takes.

Importing torch and timm takes seven seconds of a core, scikit-learn and matplotlib three; tests
begin some hundred commands. One process imports these libraries once, and forks itself for each
command. hilum's own modules are not among them: each command imports those anew, as ever, and
has its own arguments, environment, folder, pipes and exit code. Tests of what a start loads, of
signals and of kills begin the real command.

    python prepared.py serve PLACE              until nobody has its standard input open
    python prepared.py begin PROGRAM WORD...    what stands for the program on the path
"""

from __future__ import annotations

import array
import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType, ModuleType
from typing import NoReturn, Self

BASE = (
    *("numpy", "scipy.stats", "scipy.optimize", "pandas", "sklearn.metrics"),
    *("sklearn.linear_model", "sklearn.isotonic", "matplotlib.figure", "cv2", "pydicom"),
    *("matplotlib.backends.backend_agg", "PIL.Image", "pydantic", "yaml", "jinja2", "typer"),
    *("rich.progress", "rich.table"),
)
LAB = (
    *(*BASE, "onnx", "onnxscript", "torch", "torchvision", "timm", "torch.export", "torch._dynamo"),
    *("torch.onnx._internal.exporter._core", "torch.distributed.run", "safetensors.torch"),
)
LAB_VERBS = ("train", "cache", "import", "export", "demo")
PLACE = "HILUM_TESTS_PREPARED"
"""Names the folder of the sockets to the stand-ins for `hilum`, `python` and `torchrun`."""
HIDES = ('"] = None', "meta_path")
"""Words of a script that hides a library, which must not be there already."""


def wanted(words: list[str]) -> str:
    """Which of the two processes begins a command: `lab`, `base`, or none."""
    program, *rest = words
    if program == "torchrun":
        return "lab"
    if program == "hilum":
        return "lab" if "int8" in rest or (rest[:1] and rest[0] in LAB_VERBS) else "base"
    if len(rest) < 2 or rest[0] != "-c" or any(word in rest[1] for word in HIDES):
        return ""
    return "lab" if "torch" in rest[1] or "hilum.training" in rest[1] else "base"


# who wants it


class Prepared:
    """The processes of both kinds, begun by whoever needs them first, and used by all workers."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._held = -1
        programs = place / "programs"
        self.environment = {
            **os.environ,
            PLACE: str(place),
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        }

    def __enter__(self) -> Self:
        from filelock import FileLock

        programs = self._place / "programs"
        programs.mkdir(parents=True, exist_ok=True)
        with FileLock(self._place / "lock"):
            for name in ("hilum", "python", "torchrun"):
                self._stand_in(programs / name)
            self._held = self._hold()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._held)

    def _stand_in(self, program: Path) -> None:
        if not program.exists():
            lines = f"#!{sys.executable} -IS", f"PATH = {__file__!r}", "import sys"
            begin = (
                'sys.argv[1:1] = ["begin", sys.argv[0]]',
                "exec(compile(open(PATH).read(), PATH, 'exec'))",
            )
            program.write_text("\n".join((*lines, *begin, "")))
            program.chmod(0o755)

    def _hold(self) -> int:
        """The writing end of what the process reads: it ends when nobody has it open."""
        fifo = self._place / "held"
        if not fifo.exists():
            os.mkfifo(fifo)
        with suppress(OSError):  # nobody reads: there is no process, or none any more
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        for kind in ("base", "lab"):
            (self._place / kind).unlink(missing_ok=True)
        reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        held = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        process = subprocess.Popen(
            [sys.executable, __file__, "serve", str(self._place)],
            stdin=reading,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        os.close(reading)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdout.close()
        process.returncode = 0  # it ends with the last worker: this one does not wait for it
        return held


# who asks


def begin(words: list[str]) -> int:
    """Let a command be begun with the pipes of this process; its exit code."""
    kind = wanted(words)
    if not kind:
        os.execv(sys.executable, [sys.executable, *words[1:]])
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{os.environ[PLACE]}/{kind}")
        asked = json.dumps([words, str(Path.cwd()), dict(os.environ)]).encode(
            "utf-8", "surrogateescape"
        )
        head = len(asked).to_bytes(8, "little")
        line.sendmsg([head], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", (0, 1, 2)))])
        line.sendall(asked)
        told = line.makefile("r")
        process = int(told.readline())

        def pass_on(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.SIG_IGN)  # to a group and to its leader is once, not twice
            os.kill(process, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, pass_on)
        code = int(told.readline())
    if code < 0:
        with suppress(OSError):  # of the two that cannot be caught
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


# who begins


def serve(place: Path) -> tuple[list[str], str, Mapping[str, str]]:
    """Fork for each command that is asked for; returns in the child, with what it is to do.

    The process with the lab's libraries is forked from the other when it is first asked for.
    """
    doors = {kind: socket.socket(socket.AF_UNIX) for kind in ("base", "lab")}
    for kind, door in doors.items():
        door.bind(str(place / kind))
        door.listen(64)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    load(BASE)
    while True:
        # whoever uses this process holds its standard input, and closes it at the end
        ready, _, _ = select.select([*doors.values(), sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        reap()
        if doors.get("lab") in ready and len(doors) == 2:
            if os.fork():
                doors.pop("lab").close()
                continue
            doors.pop("base").close()
            load(LAB)
        for door in doors.values():
            if door in ready:
                line, _ = door.accept()
                if not os.fork():
                    door.close()
                    return answer(line)
                line.close()


def load(libraries: tuple[str, ...]) -> None:
    for name in libraries:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def reap() -> None:
    """Let no command that ended stay a zombie."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def answer(line: socket.socket) -> tuple[list[str], str, Mapping[str, str]]:
    """Fork once more, and tell who asked the process and its exit code."""
    head, pipes, _, _ = socket.recv_fds(line, 8, 3)
    left, parts = int.from_bytes(head, "little"), []
    while left:
        parts.append(line.recv(left))
        left -= len(parts[-1])
    words, folder, environment = json.loads(b"".join(parts).decode("utf-8", "surrogateescape"))
    process = os.fork()
    if process:
        line.sendall(f"{process}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        line.sendall(f"{code}\n".encode())
        os._exit(0)
    line.close()
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    return words, folder, environment


def become(words: list[str], folder: str, environment: Mapping[str, str]) -> None:
    """Do what the command does."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace", closefd=False)
    program, *rest = words
    sys.argv = [str(Path(sys.executable).with_name(program)), *rest]
    if program == "hilum":
        from hilum.cli import command

        command()
    elif program == "torchrun":
        from torch.distributed.run import main

        main()
    else:
        sys.argv = ["-c", *rest[2:]]
        sys.path.insert(0, "")
        module = ModuleType("__main__")
        sys.modules["__main__"] = module
        exec(compile(rest[1], "<string>", "exec"), module.__dict__)


def end(does: Callable[[], None]) -> NoReturn:
    """End as Python does, but without freeing some thousand modules one by one."""
    code: object = 1
    try:
        does()
        code = 0
    except SystemExit as ended:
        code = ended.code
        if not isinstance(code, int | None):
            sys.stderr.write(f"{code}\n")
            code = 1
    except BaseException:
        traceback.print_exc()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    if sys.argv[1] == "begin":
        sys.exit(begin([Path(sys.argv[2]).name, *sys.argv[3:]]))
    del sys.path[0]
    end(partial(become, *serve(Path(sys.argv[2]))))
