"""Write docs/configuration.md and .env.example from the settings classes."""

from __future__ import annotations

from collections.abc import Iterator

from infra.documentation.settings import Group, Setting, groups
from infra.local.layout import DEFAULT_PORT_BASE
from infra.local.stack import READY_SECONDS

LOCAL = Group(
    title="The local stack and the command line",
    meaning="Read by `make`, `batua` and the embedded stack, not by the services.",
    readers=(),
    settings=(
        Setting("BATUA_HOME", "path", "var", "Where the local stack keeps its data, logs and secrets."),
        Setting(
            "BATUA_PORT_BASE",
            "integer",
            str(DEFAULT_PORT_BASE),
            "Ports of the local stack are counted from here: +1 user_app, +2 merchant_app, +3 bank_webhook, "
            "+4 dummy_bank, +5 metrics of withdraw_worker, +25 SMTP, +32 Postgres, +79 Redis.",
        ),
        Setting(
            "BATUA_READY_SECONDS",
            "number, seconds, above 0",
            "",
            f"How long the local stack waits for each process to answer. Not set: {READY_SECONDS:g} s on an idle "
            "server of 2024, and longer on one that is slower or busy.",
        ),
        *(
            Setting(
                f"BATUA_POSTGRES_PASSWORD_{role}",
                "text",
                "",
                f"Password of the database role `{role.lower()}`, read by `batua migrate --service-roles` and by "
                "docker-compose.yml. The local stack makes its own.",
                is_secret=True,
            )
            for role in ("BATUA", "USER_APP", "MERCHANT_APP", "BANK_WEBHOOK", "WITHDRAW_WORKER")
        ),
    ),
)

_INTRODUCTION = """\
# Configuration

`make docs` writes this page from the settings classes; edit their docstrings, not this page.

Every setting is an environment variable. A variable without a default is **required**: the process refuses to start
without it and names it. Lists are comma-separated; of secrets and keys the newest comes first, so rotate by putting
the new one in front and drop the old one later. Amounts are in paise, durations in seconds.

With `BATUA_ENV=production` a process also refuses to start when one of its secrets has fewer than 16 characters, has
too few different characters or contains a well-known word such as `changeme`. This holds for every secret below
except the addresses of Postgres and Redis.

`make up` and `make demo` need none of this: the local stack fills in every setting and makes its own secrets.
[.env.example](../.env.example) lists the same variables as `KEY=value` lines. What the durations are for, and those
that are not settings, is in [timeouts-and-retries.md](timeouts-and-retries.md).
"""


def configuration_page() -> str:
    """The text of docs/configuration.md."""
    return "\n".join([_INTRODUCTION, *(_section(group) for group in [*groups(), LOCAL])])


def _section(group: Group) -> str:
    readers = f" Read by {', '.join(f'`{name}`' for name in group.readers)}." if group.readers else ""
    head = [f"## {group.title}", "", f"{group.meaning}{readers}", ""]
    rows = ["| variable | value | default | meaning |", "|---|---|---|---|", *map(_row, group.settings), ""]
    return "\n".join([*head, *rows])


def _row(setting: Setting) -> str:
    kind = f"{setting.kind}, **secret**" if setting.is_secret else setting.kind
    default = "**required**" if setting.default is None else f"`{setting.default}`" if setting.default else ""
    return f"| `{setting.variable}` | {kind} | {default} | {setting.meaning} |"


_EXAMPLE_HEAD = """\
# Every setting of Batua, written by `make docs`; docs/configuration.md explains them.
# Batua reads the environment, no file: copy this one and give the copy to what starts the processes.
# A line that begins with "# " and a name shows the default. The others are required and have none.
"""


def example_file() -> str:
    """The text of .env.example."""
    return "\n".join([_EXAMPLE_HEAD, *_example_lines()]) + "\n"


def _example_lines() -> Iterator[str]:
    shown: set[str] = set()
    for group in [*groups(), LOCAL]:
        settings = [setting for setting in group.settings if setting.variable not in shown]
        if not settings:
            continue
        shown.update(setting.variable for setting in settings)
        yield f"# {group.title}: {', '.join(group.readers)}" if group.readers else f"# {group.title}"
        for setting in settings:
            yield f"{setting.variable}=" if setting.default is None else f"# {setting.variable}={setting.default}"
        yield ""
