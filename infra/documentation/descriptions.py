"""What settings classes say about their fields: the text below each field in the source.

pydantic can read it when a class is made. That reads the source of each class at every start of every process, which
took a twentieth of the start's CPU, and only the documents need the text.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

from pydantic import BaseModel


@cache
def descriptions(owner: type[BaseModel]) -> dict[str, str]:
    """The text below each field of the class and of its bases, by the field's name."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if issubclass(base, BaseModel) and not base.__module__.startswith("pydantic"):
            found |= _own(base)
    return found


def _own(owner: type[BaseModel]) -> dict[str, str]:
    (written,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(written, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(written.body, written.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
