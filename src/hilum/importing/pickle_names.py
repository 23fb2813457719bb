"""Names in pickled files: those that may hold tensors, and those that only an attack needs."""

from __future__ import annotations

from hilum.domain.errors import BundleError
from hilum.importing.records import Name

__all__ = ["is_known", "refuse_attack"]

_HOLDERS = ("torch", "torchvision", "torchxrayvision", "timm", "collections")
"""Packages whose objects may stand between a file's top and a tensor."""

_ATTACK_MODULES = frozenset(
    [
        "os",
        "posix",
        "nt",
        "posixpath",
        "ntpath",
        "subprocess",
        "sys",
        "importlib",
        "imp",
        "runpy",
        "pty",
        "socket",
        "shutil",
        "ctypes",
        "_ctypes",
        "code",
        "codeop",
        "pickle",
        "_pickle",
        "cPickle",
        "dill",
        "cloudpickle",
        "joblib",
        "marshal",
        "webbrowser",
        "urllib",
        "http",
        "ftplib",
        "smtplib",
        "telnetlib",
        "requests",
        "httpx",
        "aiohttp",
        "multiprocessing",
        "_posixsubprocess",
        "asyncio",
        "signal",
        "tempfile",
        "pdb",
        "bdb",
        "timeit",
        "cProfile",
        "profile",
        "trace",
        "pip",
        "setuptools",
        "distutils",
        "pkgutil",
        "zipimport",
        "commands",
        "popen2",
        "platform",
        "pydoc",
        "doctest",
        "inspect",
        "gc",
        "atexit",
        "threading",
        "_thread",
        "fileinput",
        "linecache",
        "shelve",
        "sqlite3",
        "ensurepip",
        "venv",
        "io",
        "_io",
        "idlelib",
    ]
)
"""Modules that no weights need: they start programs, open files or run text."""

_BUILTINS = frozenset({"builtins", "__builtin__", "__builtins__"})
_HARMLESS = frozenset(
    [
        "set",
        "frozenset",
        "list",
        "dict",
        "tuple",
        "int",
        "float",
        "bool",
        "str",
        "bytes",
        "bytearray",
        "complex",
        "slice",
        "range",
        "object",
        "long",
        "unicode",
        "NoneType",
    ]
)
_RUN = frozenset({"eval", "exec", "compile", "open", "system", "popen", "getattr", "setattr"})
_ATTACK_NAMES = frozenset(
    {
        "torch.load",
        "torch.serialization.load",
        "torch.storage._load_from_bytes",
        "numpy.load",
        "numpy.fromfile",
        "numpy.memmap",
        "numpy.lib.npyio.load",
        "types.FunctionType",
        "types.CodeType",
        "types.LambdaType",
        "operator.attrgetter",
        "operator.methodcaller",
        "functools.reduce",
        "copyreg.add_extension",
        "pandas.read_pickle",
        "pandas.io.pickle.read_pickle",
    }
)
_ATTACK_PARTS = (
    "torch.hub",
    "torch.jit",
    "torch.package",
    "torch.multiprocessing",
    "torch.distributed",
    "torch.utils.cpp_extension",
    "torch.utils.bottleneck",
    "torch.utils.collect_env",
    "torch.utils.data",
    "torch.testing",
    "torch._inductor",
    "torch._dynamo",
    "torch.fx",
    "numpy.testing",
    "numpy.f2py",
    "numpy.distutils",
)


def refuse_attack(name: Name, where: str) -> None:
    """Refuse a name that only an attack needs, wherever in the file it stands.

    Raises:
        BundleError: naming it.

    >>> refuse_attack(Name("argparse", "Namespace"), "a.pt")
    >>> refuse_attack(Name("posix", "system"), "a.pt")
    Traceback (most recent call last):
    ...
    hilum.domain.errors.BundleError: a.pt names posix.system, which no weights need and an attack
    does; nothing of the file was run. Do not load it with other programs
    """
    dotted = name.dotted
    first = dotted.partition(".")[0]
    foul = (
        first in _ATTACK_MODULES
        or (name.module in _BUILTINS and name.name not in _HARMLESS)
        or dotted in _ATTACK_NAMES
        or any(dotted == part or dotted.startswith(f"{part}.") for part in _ATTACK_PARTS)
        or "__" in name.name.strip("_")
        or any(part in _ATTACK_MODULES or part in _RUN for part in name.name.split("."))
    )
    if foul:
        raise BundleError(
            f"{where} names {_printable(dotted)}, which no weights need and an attack does; "
            "nothing of the file was run. Do not load it with other programs"
        )


def is_known(name: Name) -> bool:
    """Return whether an object of this name may hold tensors.

    >>> is_known(Name("torch.nn.modules.conv", "Conv2d")), is_known(Name("torchy", "Conv2d"))
    (True, False)
    """
    return name.module.partition(".")[0] in _HOLDERS


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:80])
