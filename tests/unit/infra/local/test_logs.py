from pathlib import Path

from infra.local.logs import LogFollower
from infra.local.readiness import wait_until


def test_new_lines_come_behind_the_name_of_their_process_and_old_ones_not_at_all(tmp_path: Path) -> None:
    seen: list[str] = []
    old = tmp_path / "user_app.log"
    old.write_text("from last time\n", encoding="utf-8")
    files = [("user_app", old), ("redis", tmp_path / "redis.log")]
    with LogFollower(files, seen.append), old.open("a", encoding="utf-8") as stream:
        stream.write("hel")
        stream.flush()
        (tmp_path / "redis.log").write_text("ready\n", encoding="utf-8")
        assert wait_until(lambda: bool(seen), 5)
        stream.write("lo\n")
    assert sorted(seen) == ["redis    | ready", "user_app | hello"]


def test_nothing_is_lost_when_a_log_is_rotated(tmp_path: Path) -> None:
    seen: list[str] = []
    file = tmp_path / "smtp.log"
    file.write_text("", encoding="utf-8")
    with LogFollower([("smtp", file)], seen.append):
        file.write_text("one\n", encoding="utf-8")
        file.rename(tmp_path / "smtp.log.1")
        file.write_text("two\n", encoding="utf-8")
        assert wait_until(lambda: len(seen) == 2, 5)
    assert seen == ["smtp | one", "smtp | two"]
