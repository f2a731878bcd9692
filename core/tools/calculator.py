"""The calculator: arithmetic as it is written, and nothing else of Python."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from core.models.chat import ToolForm
from core.parts import Part
from core.tools.tool import Arguments, Caller, Output, Tool, ToolError, takes, text_of, words

LONGEST = 500
"""Characters of an expression, and"""
MOST_NODES = 200
"""parts of it."""
MOST_BITS = 10_000
"""Of a whole number: 3,000 digits."""
MOST_FACTORIAL = 1000

Number = int | float


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent > MOST_BITS:
            raise ToolError("The result is too large.")
        return base**exponent
    found = float(base) ** float(exponent)
    if isinstance(found, complex):
        raise ToolError("The result is no real number.")
    return found


def _factorial(number: Number) -> Number:
    if not float(number).is_integer() or not 0 <= number <= MOST_FACTORIAL:
        raise ToolError(f"factorial takes whole numbers from 0 to {MOST_FACTORIAL}.")
    return math.factorial(int(number))


def _round(number: Number, digits: Number = 0) -> Number:
    return round(number, int(digits)) if digits else round(number)


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_NAMES: Mapping[str, Number] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(math, name) for name in ("sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "exp")},
    **{name: getattr(math, name) for name in ("log", "log2", "log10", "degrees", "radians", "hypot", "gcd", "floor")},
    "ceil": math.ceil,
    "abs": abs,
    "min": min,
    "max": max,
    "round": _round,
    "factorial": _factorial,
}
_WRITTEN = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "（": "(", "）": ")", "，": ",", "π": "pi"})


def calculate(expression: str) -> str:
    """The result. Raises ToolError with what is wrong."""
    text = expression.translate(_WRITTEN).replace("^", "**").strip()
    if len(text) > LONGEST:
        raise ToolError(f"An expression may have {LONGEST} characters.")
    try:
        tree = ast.parse(text, mode="eval")
        if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
            raise ToolError("The expression is too long.")
        return str(_value(tree.body))
    except ZeroDivisionError:
        raise ToolError("It divides by zero.") from None
    except OverflowError:
        raise ToolError("The result is too large.") from None
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ToolError("That is no arithmetic: write numbers, + - * / // % **, brackets and functions.") from None


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            found: Number = number
        case ast.Name(id=name) if name in _NAMES:
            found = _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            found = _value(operand)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _BINARY:
            found = _BINARY[type(sign)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=values, keywords=[]) if name in _FUNCTIONS:
            found = _FUNCTIONS[name](*map(_value, values))
        case _:
            raise ToolError(f"That is no arithmetic: {type(node).__name__}.")
    if isinstance(found, int) and found.bit_length() > MOST_BITS:
        raise ToolError("The result is too large.")
    return found


async def _run(arguments: Arguments, caller: Caller) -> AsyncGenerator[Part | Output]:
    yield Output(calculate(text_of(arguments, "expression")))


CALCULATOR = Tool(
    ToolForm(
        "calculator",
        "Calculates exactly. Use it for any arithmetic beyond the simplest.",
        takes(
            ["expression"],
            expression=words("like (3.5 + 2) * 12 ** 2, with sqrt, sin, log, round, min, max, factorial, pi", LONGEST),
        ),
    ),
    _run,
    allowed_as="calculator",
    called="tool.calculator",
    seconds=5.0,
)
