"""Arithmetic between fields: "(raw - 32768) / 10", "flags & 4", "high * 65536 + low if long else low".

Names are fields, device parameters, and what the reader adds (port, length, index). Allowed: numbers, texts,
+ - * / // % **, & | ^ ~ << >>, comparisons, and or not, `a if b else c`, and the functions of FUNCTIONS.
A name that has no value makes the whole result None: no reading, never 0.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from dutyroom.errors import Rejected

MAX_LENGTH = 500
MAX_TEXT = 1000  # characters of a text that is put together
_NUMBERS: Final = (int, float)
LARGEST: Final = 2**80  # whole numbers stay below it: a payload cannot make us multiply for ever


class Names(Protocol):
    """Where an expression finds its names; None = no value. A dict is one."""

    def get(self, name: str, /) -> object: ...


Evaluate: TypeAlias = Callable[[Names], object]


class Absent(Exception):
    """A name without a value."""


def bounded(value: object) -> object:
    if type(value) is int and not -LARGEST < value < LARGEST:
        raise OverflowError("number too large")
    if type(value) is str and len(value) > MAX_TEXT:
        raise OverflowError("text too long")
    if type(value) is float and not math.isfinite(value):
        raise OverflowError("no finite number")
    return value


def _power(base: float, exponent: float) -> object:
    if not -64 <= exponent <= 64 or abs(base) > LARGEST:
        raise OverflowError("power too large")
    if base < 0 and not float(exponent).is_integer():
        raise ValueError("no real number")  # Python would make a complex one
    return bounded(base**exponent)


def _times(a: object, b: object) -> object:
    # Python repeats a text that is multiplied; a field may be one.
    if not isinstance(a, _NUMBERS) or not isinstance(b, _NUMBERS):
        raise TypeError("only numbers are multiplied")
    return bounded(a * b)


def _modulo(a: object, b: object) -> object:
    if not isinstance(a, _NUMBERS) or not isinstance(b, _NUMBERS):
        raise TypeError("only numbers have a remainder")
    return a % b


def _round(value: float, digits: int | None = None) -> object:
    """To a whole number, or to so many decimals (below 0: to tens, hundreds)."""
    if digits is not None and not -30 <= digits <= 30:  # Python would write a 1 with as many zeros
        raise OverflowError("rounded too far")
    return round(value, digits)


def _left(value: int, by: int) -> object:
    if not 0 <= by <= 64:
        raise OverflowError("shift too far")
    return bounded(value << by)


def _signed(value: int, bits: int) -> int:
    """A two's complement number of `bits` bits from its unsigned value."""
    return value - (1 << bits) if 0 < bits <= 64 and value >> (bits - 1) & 1 else value


def _text(value: object) -> str:
    """A number as people write it: 12, 1.5; a text as it is."""
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float):
        raise TypeError("only numbers and texts have a text")
    whole = isinstance(value, int) or (value.is_integer() and abs(value) < 2**53)
    return str(int(value)) if whole else repr(value)


def _hex(value: int) -> str:
    """A whole number in hexadecimal digits, without leading zeros: versions are often written so."""
    return f"{value:x}"


def _upper(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("only texts have capitals")
    return value.upper()


def _spaced(value: object, sign: str) -> str:
    """Hex digits as addresses are written: a sign between the bytes."""
    if not isinstance(value, str) or not isinstance(sign, str):
        raise TypeError("only texts are spaced")
    return sign.join(value[i : i + 2] for i in range(0, len(value), 2))


FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "abs": abs, "min": min, "max": max, "round": _round, "int": int, "float": float, "sqrt": math.sqrt, "exp": math.exp,
    "ln": math.log, "log10": math.log10, "floor": math.floor, "signed": _signed,
    "text": _text, "hex": _hex, "upper": _upper, "spaced": _spaced,
}  # fmt: skip

_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Div: "/", ast.FloorDiv: "//", ast.BitAnd: "&",
    ast.BitOr: "|", ast.BitXor: "^", ast.RShift: ">>",
}  # fmt: skip
_CHECKED: Mapping[type[ast.operator], str] = {
    ast.Mult: "_times", ast.Mod: "_modulo", ast.Pow: "_power", ast.LShift: "_left",
}  # fmt: skip
_COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: " in ", ast.NotIn: " not in ",
}  # fmt: skip
_UNARY: Mapping[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Not: "not ", ast.Invert: "~"}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression. names: every field that it reads."""

    text: str
    names: frozenset[str]
    python: str

    def compiled(self) -> Evaluate:
        """names -> value; None when a name has no value. Raises Rejected where it cannot be computed."""
        # The text was rebuilt from checked nodes: nothing of the profile's own text reaches eval.
        run = eval(f"lambda _: {self.python}", dict(SCOPE))  # noqa: S307
        text = self.text

        def evaluate(names: Names) -> object:
            try:
                return bounded(run(names))
            except Absent:
                return None
            except ZeroDivisionError:
                return None
            except (ArithmeticError, ValueError, TypeError) as err:
                raise Rejected(f"{text!r} cannot be computed: {err}") from err

        return evaluate

    def written(self, fields: Mapping[str, str], others: str) -> str:
        """As Python text over SCOPE: numbers in these fields (name -> field) are what `get` gives of them, for all else
        `others` is the text of the Names to ask. It uses the variable `v`."""
        python = self.python
        for name in self.names:
            asked = f"_name({others}, {name!r})"
            at_once = f"(v if type(v := get({fields.get(name)!r})) in _numbers else {asked})"
            python = python.replace(f"_name(_, {name!r})", at_once if name in fields else asked)
        return python


def _name(names: Names, name: str) -> object:
    value = names.get(name)
    if value is None:
        raise Absent
    return value


SCOPE: Mapping[str, object] = {
    "__builtins__": {}, "_name": _name, "_power": _power, "_left": _left, "_times": _times,
    "_modulo": _modulo, "_numbers": frozenset({int, float}), "type": type,
    **{f"_f_{name}": function for name, function in FUNCTIONS.items()},
}  # fmt: skip


def parse_expression(text: str) -> Expression:
    """Raises Rejected naming what is not allowed."""
    if len(text) > MAX_LENGTH:
        raise Rejected(f"an expression has at most {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise Rejected(f"{text!r} is no expression: {getattr(err, 'msg', err)}") from err
    names: set[str] = set()
    try:
        python = _python(tree.body, names)
        compile(python, "", "eval")  # Python nests parentheses less deeply than it parses them
    except (RecursionError, MemoryError, SyntaxError) as err:
        raise Rejected(f"{text!r} is nested too deeply") from err
    except OverflowError as err:
        raise Rejected(f"{text!r}: {err}") from err
    return Expression(text, frozenset(names), python)


def _python(node: ast.expr, names: set[str]) -> str:
    """The node as Python text, made of allowed parts only."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return repr(bounded(node.value))
        case ast.Name(id=name):
            names.add(name)
            return f"_name(_, {name!r})"
        case ast.UnaryOp(op=op, operand=operand):
            return f"({_UNARY[type(op)]}{_python(operand, names)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _CHECKED:
            return f"{_CHECKED[type(op)]}({_python(left, names)}, {_python(right, names)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return f"({_python(left, names)} {_OPERATORS[type(op)]} {_python(right, names)})"
        case ast.BoolOp(op=op, values=values):
            word = " and " if isinstance(op, ast.And) else " or "
            return f"({word.join(_python(v, names) for v in values)})"
        case ast.Compare(left=left, ops=ops, comparators=others):
            parts = [_python(left, names)]
            for comparison, other in zip(ops, others, strict=True):
                if type(comparison) not in _COMPARISONS:
                    raise Rejected(f"{type(comparison).__name__} is not allowed")
                parts += [_COMPARISONS[type(comparison)], _python(other, names)]
            return f"({''.join(parts)})"
        case ast.IfExp(test=test, body=body, orelse=other):
            return f"({_python(body, names)} if {_python(test, names)} else {_python(other, names)})"
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return f"({''.join(_python(e, names) + ', ' for e in elements)})"
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return f"_f_{name}({', '.join(_python(a, names) for a in args)})"
    raise Rejected(f"{ast.unparse(node)!r} is not allowed in an expression")
