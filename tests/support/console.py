"""Run the console blocks of a document as a reader would: one shell, every command as it is written, in order."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHOWN_END = "\x1e"
_ANYTHING = "..."


@dataclass(frozen=True, slots=True)
class Command:
    """What stands behind one `$`, with the lines that continue it, and the output that is shown below it, if any."""

    text: str
    output: str


def commands(document: str) -> list[Command]:
    """Every command of the document's console blocks, in order."""
    return [command for block in _BLOCK.findall(document) for command in _of_block(block)]


def _of_block(block: str) -> list[Command]:
    found: list[tuple[list[str], list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif found and found[-1][0][-1].endswith("\\"):
            found[-1][0].append(line)
        else:
            found[-1][1].append(line)
    return [Command("\n".join(text), "\n".join(output)) for text, output in found]


def run(
    given: list[Command], *, shell: str, folder: Path, environment: Mapping[str, str], seconds: float
) -> list[tuple[Command, str]]:
    """Each command with what it printed; the shell ends after the last one, or after so many seconds."""
    end = f"\nprintf '{_SHOWN_END}'\n"
    script = "".join(command.text + end for command in given)
    ran = subprocess.run(
        [shell],
        input=script,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    printed = ran.stdout.split(_SHOWN_END)
    assert len(printed) == len(given) + 1, ran.stdout
    return list(zip(given, printed, strict=False))


def is_as_shown(shown: str, printed: str) -> bool:
    """Whether the output is the shown one; `...` stands for anything, and so does the number of blanks."""
    words = [re.escape(part) for part in " ".join(shown.split()).split(_ANYTHING)]
    return re.fullmatch(".*".join(words), " ".join(printed.split()), re.DOTALL) is not None
