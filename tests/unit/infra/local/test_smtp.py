from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from aiosmtpd.smtp import Envelope

from infra.local.smtp import Mailbox


def kept(directory: Path) -> list[Path]:
    return list(directory.glob("*.eml"))


async def test_a_message_is_there_only_when_it_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(partial: Path, file: Path) -> Path:
        assert partial.read_bytes() == b"Subject: Hello"
        assert kept(tmp_path) == []
        return partial.replace(file)

    monkeypatch.setattr(Path, "rename", rename)
    envelope = Envelope()
    envelope.original_content = b"Subject: Hello"
    await Mailbox(tmp_path).handle_DATA(Mock(), Mock(), envelope)
    [file] = kept(tmp_path)
    assert (file.suffix, file.read_bytes()) == (".eml", b"Subject: Hello")
