"""A pickle machine that makes records: nothing is imported, called or looked up.

Each opcode does what `pickletools` says of it, but that a name stays a `Name`, a call becomes a
`Made`, and only PyTorch's own ways to a tensor, and the dictionaries around them, are understood.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any

from hilum.domain.errors import BundleError
from hilum.importing.pickle_names import refuse_attack
from hilum.importing.records import Made, Name

__all__ = ["Machine"]

_MOST_OPCODES = 20_000_000
_PLAIN_KEYS = (str, int, float, bool, bytes, type(None), Name)
_MARK = object()

_VALUES = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
    ]
)
_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_FRESH: Mapping[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
"""What makes an empty container; a set is kept as a list, since a record has no hash of its own."""
_DICTIONARIES = frozenset(
    {"collections.OrderedDict", "builtins.dict", "__builtin__.dict", "collections.defaultdict"}
)
_LISTS = frozenset(
    {f"{module}.{kind}" for module in ("builtins", "__builtin__") for kind in ("set", "list")}
)


class Machine:
    """Read one pickle after the other from a file.

    Args:
        file: open, at the first opcode.
        where: file and entry, for messages.
        tensor: makes a tensor of the call to a function of PyTorch's; returns None for a call that
            is not one.
        storage: makes a storage of a persistent id.
    """

    def __init__(
        self,
        file: IO[bytes],
        where: str,
        tensor: Callable[[str, tuple[Any, ...]], Any],
        storage: Callable[[Any], Any],
    ) -> None:
        self._file = file
        self._where = where
        self._tensor = tensor
        self._storage = storage
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._opcodes = 0
        self._other = self._table()

    def read(self) -> Any:
        """Return the next pickle's value, made of dicts, lists, tuples, plain values and records.

        Raises:
            BundleError: naming file and byte, for bytes that are not a pickle, an opcode that is
                not on the list, or a name that only an attack needs.
        """
        self._stack, self._memo = [], {}
        place: int | None = 0
        try:
            for opcode, argument, at in pickletools.genops(self._file):
                place = at
                self._opcodes += 1
                if self._opcodes > _MOST_OPCODES:
                    raise ValueError("more opcodes than any weights need")
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._do(opcode.name, argument)
        except BundleError:
            raise
        except Exception as error:  # what foreign bytes raise is of many kinds
            why = " ".join(str(error).split())[:120] or type(error).__name__
            raise BundleError(
                f"{self._where} must be a pickle of weights; byte {place} is not: {why}. "
                "Fetch the file again"
            ) from None
        raise BundleError(f"{self._where} must be a whole pickle; it has no end")

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _FRESH:
            stack.append(_FRESH[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("PROTO", "FRAME"):
            return
        else:
            known = self._other.get(name)
            if known is None:
                raise ValueError(f"opcode {name} is not used by weights")
            known(argument)

    def _table(self) -> Mapping[str, Callable[[Any], None]]:
        """What each other opcode does. INST, OBJ, EXT and out-of-band buffers are in no weights."""
        return {
            "PUT": self._put,
            "BINPUT": self._put,
            "LONG_BINPUT": self._put,
            "MEMOIZE": self._memoize,
            "GET": self._get,
            "BINGET": self._get,
            "LONG_BINGET": self._get,
            "POP": self._pop,
            "POP_MARK": self._pop_mark,
            "DUP": self._dup,
            "TUPLE": self._tuple,
            "TUPLE1": lambda _: self._tuple_of(1),
            "TUPLE2": lambda _: self._tuple_of(2),
            "TUPLE3": lambda _: self._tuple_of(3),
            "LIST": self._list,
            "FROZENSET": self._list,
            "DICT": self._dict,
            "APPEND": self._append,
            "APPENDS": self._appends,
            "ADDITEMS": self._appends,
            "SETITEM": self._setitem,
            "SETITEMS": self._setitems,
            "GLOBAL": self._global,
            "STACK_GLOBAL": self._stack_global,
            "REDUCE": self._reduce,
            "NEWOBJ": self._newobj,
            "NEWOBJ_EX": self._newobj_ex,
            "BUILD": self._build,
            "BINPERSID": self._persistent,
        }

    # the memo

    def _put(self, index: int) -> None:
        self._memo[int(index)] = self._stack[-1]

    def _memoize(self, _: object) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[int(index)])

    # the stack

    def _pop(self, _: object) -> None:
        self._stack.pop()

    def _pop_mark(self, _: object) -> None:
        self._since_mark()

    def _dup(self, _: object) -> None:
        self._stack.append(self._stack[-1])

    def _since_mark(self) -> list[Any]:
        stack = self._stack
        at = len(stack) - 1
        while stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("a mark is missing")
        found = stack[at + 1 :]
        del stack[at:]
        return found

    # containers

    def _tuple(self, _: object) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _tuple_of(self, count: int) -> None:
        found = tuple(self._stack[-count:])
        if len(found) < count:
            raise ValueError("the stack is empty")
        del self._stack[-count:]
        self._stack.append(found)

    def _list(self, _: object) -> None:
        self._stack.append(self._since_mark())

    def _dict(self, _: object) -> None:
        found = self._since_mark()
        self._stack.append({})
        self._fill(found)

    def _append(self, _: object) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: object) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Made):
            target.members.extend(values)
        elif isinstance(target, list):
            target.extend(values)
        else:
            raise ValueError("only a list takes members")

    def _setitem(self, _: object) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def _setitems(self, _: object) -> None:
        self._fill(self._since_mark())

    def _fill(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        items = target.items if isinstance(target, Made) else target
        if not isinstance(items, dict) or len(pairs) % 2:
            raise ValueError("only a dictionary takes pairs")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # a tuple of tuples of tuples would be hashed without end
            items[key if isinstance(key, _PLAIN_KEYS) else ("record", id(key))] = value

    # names and calls

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._name(module, name)

    def _stack_global(self, _: object) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name must be text")
        self._name(module, name)

    def _name(self, module: str, name: str) -> None:
        found = Name(module, name)
        refuse_attack(found, self._where)
        self._stack.append(found)

    def _reduce(self, _: object) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        self._call(called, arguments)

    def _newobj(self, _: object) -> None:
        self._reduce(None)

    def _newobj_ex(self, _: object) -> None:
        _, arguments, called = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._call(called, arguments)

    def _call(self, called: Any, arguments: Any) -> None:
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise ValueError("only a name may be called, with a tuple")
        made: Any
        if called.dotted in _DICTIONARIES:
            made = {}
        elif called.dotted in _LISTS:
            held = arguments[0] if arguments else ()
            made = list(held) if isinstance(held, list | tuple) else []
        else:
            made = self._tensor(called.dotted, arguments)
            if made is None:
                made = _base_of(called, arguments)
        self._stack.append(made)

    def _build(self, _: object) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Name):
            raise ValueError(f"{target.dotted} is a name, and only an object has a state")
        if isinstance(target, Made):
            target.state = state

    def _persistent(self, _: object) -> None:
        self._stack.append(self._storage(self._stack.pop()))


def _base_of(called: Name, arguments: tuple[Any, ...]) -> Made:
    """Return the record of a call; `copyreg._reconstructor(kind, …)` makes one of its kind."""
    if called.dotted in ("copyreg._reconstructor", "copy_reg._reconstructor") and arguments:
        kind = arguments[0]
        if isinstance(kind, Name):
            return Made(kind)
    return Made(called, arguments)
