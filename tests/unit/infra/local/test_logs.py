from contextlib import closing
from pathlib import Path

from infra.local.logs import LogReader


def test_last_lines_come_first_then_new_ones_each_behind_the_name_of_its_process(tmp_path: Path) -> None:
    old = tmp_path / "user_app.log"
    old.write_text("from last week\nfrom yesterday\n", encoding="utf-8")
    files = [("user_app", old), ("redis", tmp_path / "redis.log")]
    with closing(LogReader(files, last=1)) as reader, old.open("a", encoding="utf-8") as stream:
        assert list(reader.lines()) == ["user_app | from yesterday"]
        stream.write("hel")
        stream.flush()
        (tmp_path / "redis.log").write_text("ready\n", encoding="utf-8")
        assert list(reader.lines()) == ["redis    | ready"]
        stream.write("lo\n")
        stream.flush()
        assert list(reader.lines()) == ["user_app | hello"]
        assert list(reader.lines()) == []


def test_the_log_of_one_process_is_shown_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "smtp.log"
    file.write_text("one\ntwo\n", encoding="utf-8")
    with closing(LogReader([("smtp", file)], last=5)) as reader:
        assert list(reader.lines()) == ["one", "two"]


def test_nothing_is_lost_when_a_log_is_rotated(tmp_path: Path) -> None:
    file = tmp_path / "smtp.log"
    file.write_text("", encoding="utf-8")
    with closing(LogReader([("smtp", file)], last=0)) as reader:
        seen = list(reader.lines())
        file.write_text("one\n", encoding="utf-8")
        file.rename(tmp_path / "smtp.log.1")
        file.write_text("two\n", encoding="utf-8")
        seen += reader.lines()
        seen += reader.lines()
    assert seen == ["one", "two"]
