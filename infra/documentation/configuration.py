"""Write docs/configuration.md and .env.example from the settings classes."""

from __future__ import annotations

from collections.abc import Iterator

from infra.documentation.settings import Group, Setting, groups
from infra.local.launch import GIVE_WAY, NICENESS
from infra.local.layout import DEFAULT_PORT_BASE
from infra.local.stack import READY_SECONDS

LOCAL = Group(
    title="The local stack and the command line",
    meaning="Read by `make`, `batua` and the embedded stack; what services read too says so.",
    readers=(),
    settings=(
        Setting("BATUA_HOME", "path", "var", "Where the local stack keeps its data, logs and secrets."),
        Setting(
            "BATUA_SECRETS_DIRECTORY",
            "path",
            "",
            "Read by the services too: directory with secrets as files ([above](#secrets-as-files)). Not set: none.",
        ),
        Setting(
            "DUMMY_BANK_SECRETS_DIRECTORY", "path", "", "The same for the simulated banks and their `DUMMY_BANK_*`."
        ),
        Setting(
            "BATUA_PORT_BASE",
            "integer",
            str(DEFAULT_PORT_BASE),
            "Ports of the local stack are counted from here: +1 user_app, +2 merchant_app, +3 bank_webhook, "
            "+4 dummy_bank, +5 metrics of withdraw_worker, +11 to +13 those of the first three, +25 SMTP, "
            "+32 Postgres, +79 Redis.",
        ),
        Setting(
            "BATUA_READY_SECONDS",
            "number, seconds, above 0",
            "",
            f"How long the local stack waits for each process to answer, and half of what it allows the migrations. "
            f"Not set: {READY_SECONDS:g} s on an idle server of 2024, and longer on one that is slower or busy.",
        ),
        Setting(
            GIVE_WAY,
            "`1` or `0`",
            "1",
            f"Whether {', '.join(NICENESS)} of the local stack give way to requests on a busy machine.",
        ),
        *(
            Setting(
                f"BATUA_POSTGRES_PASSWORD_{role}",
                "text",
                "",
                f"Password of the database role `{role.lower()}`, read by `batua migrate --service-roles` and by "
                "`make compose-up`. The local stack makes its own.",
                is_secret=True,
            )
            for role in ("BATUA", "USER_APP", "MERCHANT_APP", "BANK_WEBHOOK", "WITHDRAW_WORKER")
        ),
        Setting(
            "BATUA_SINGLE_POSTGRES",
            "`1` or `0`",
            "",
            "Read by `make compose-up` from `var/compose.env`, where the first start writes it: 1 for one Postgres, "
            "0 for the cluster of the profile `ha` ([deployment.md](deployment.md#three-nodes-of-postgres)).",
        ),
    ),
)

_INTRODUCTION = """\
# Configuration

`make docs` writes this page from the settings classes; edit their docstrings, not this page.

Every setting is an environment variable. A variable without a default is **required**: the process refuses to start
without it and names it. Lists are comma-separated; of secrets and keys the newest comes first, so rotate by putting
the new one in front and drop the old one later. Amounts are in paise, durations in seconds.

With `BATUA_ENV=production` a process also refuses to start with settings that real money does not allow. It lists all
of them, each with what to do instead:

* a secret, or a password in an address, that is missing, has fewer than 16 characters, has too few different characters
  or contains a well-known word such as `changeme`; a Unix socket needs no password;
* Postgres, Redis or SMTP reached without TLS, unless by loopback, by a Unix socket, or within a network that
  `BATUA_PRIVATE_NETWORKS` or `BATUA_PRIVATE_HOSTS` names;
* an address of a bank, or of user_app, that does not begin with `https://`;
* a network wider than `/8` (IPv6: `/7`), such as `0.0.0.0/0`;
* more than 10 wrong PINs, more than 100 wrong passwords per address and minute, no throttling, fewer than 12 rounds of
  bcrypt;
* a gift at sign-up.

The container image has no default for `BATUA_ENV`: a container that is not told where it runs does not start.

## Secrets as files

With `BATUA_SECRETS_DIRECTORY=/run/secrets`, a setting may be a file there instead of a variable: the file is named like
the variable, in large or small letters, and holds the value; space around it is dropped. Docker and Kubernetes mount
secrets so. Where both are there, the variable counts. A directory that is missing, and a file that cannot be read, keep
the process from starting. The passwords that `batua migrate --service-roles` reads may be files too; settings with `__`
in their name may not. Production judges a value from a file as any other.

## Where to begin

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
