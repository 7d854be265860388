"""Secrets as files, as Docker and Kubernetes mount them: one file per variable, named like it, in one directory.

A file keeps a secret out of the environment, which `docker inspect`, crash reports and child processes show.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsError

DIRECTORY = "BATUA_SECRETS_DIRECTORY"


class SecretsUnreadable(ValueError):
    """The directory of secrets is not there, or a file in it cannot be read."""


class _SecretFiles(SecretsSettingsSource):
    def __call__(self) -> dict[str, Any]:
        """The settings that have a file. Raises SecretsUnreadable."""
        try:
            return super().__call__()
        except SettingsError as error:
            raise _unreadable(error.__cause__ or error) from None


def secret_files(settings: type[BaseSettings], variable: str = DIRECTORY) -> list[PydanticBaseSettingsSource]:
    """What reads these settings from the directory that the variable names; nothing where it is not set.

    Raises SecretsUnreadable.
    """
    directory = _directory(variable)
    return [] if directory is None else [_SecretFiles(settings, directory)]


def secret(name: str) -> str | None:
    """A secret that belongs to no settings class, from the environment or its file. Raises SecretsUnreadable."""
    directory = _directory(DIRECTORY)
    given = os.environ.get(name)
    if given or directory is None:
        return given or None
    try:
        found = [file for file in directory.iterdir() if file.name.lower() == name.lower()]
        return found[0].read_text(encoding="utf-8").strip() if found else None
    except (OSError, UnicodeError) as error:
        raise _unreadable(error) from None


def _directory(variable: str) -> Path | None:
    named = os.environ.get(variable)
    if not named:
        return None
    if not Path(named).is_dir():
        raise SecretsUnreadable(f"{variable} names no directory: {named}")
    return Path(named)


def _unreadable(error: BaseException) -> SecretsUnreadable:
    if isinstance(error, OSError):
        return SecretsUnreadable(f"a secret cannot be read: {error.filename}: {error.strerror}")
    reason = "its file is no UTF-8 text" if isinstance(error, UnicodeError) else str(error)
    return SecretsUnreadable(f"a secret cannot be read: {reason}")
