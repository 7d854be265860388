"""How the commands of a document are found and compared with what they print."""

from __future__ import annotations

from tests.support.console import Command, commands, is_as_shown

DOCUMENT = """\
```sh
not this
```

```console
$ echo one \\
    two
one two
$ true
```
text
```console
$ date
...
```
"""


def test_the_commands_of_all_console_blocks_are_found_with_their_output() -> None:
    assert commands(DOCUMENT) == [
        Command("echo one \\\n    two", "one two"),
        Command("true", ""),
        Command("date", "..."),
    ]


def test_three_dots_stand_for_anything_and_nothing_else_may_differ() -> None:
    assert is_as_shown('{"id":"...","amount":5}', '{"id":"01a2","amount":5}\n')
    assert is_as_shown("The ledger holds: ... rules, ...", "\nThe ledger holds: 25 of 25\nrules, 8 accounts")
    assert not is_as_shown('{"id":"...","amount":5}', '{"id":"01a2","amount":50}')
    assert not is_as_shown("", "command not found")
