from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from shared.pages import rendering
from shared.pages.compiled import CompiledTemplates

ROOT = Path(__file__).parents[3]
APPS = [ROOT / "services" / app / "templates" for app in ("user_app", "merchant_app")]


@pytest.fixture(autouse=True)
def may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


class CountingEnvironment(Environment):
    compiled = 0

    def _generate(self, *arguments: object, **named: object) -> str:  # what Jinja calls once for each compilation
        self.compiled += 1
        return super()._generate(*arguments, **named)  # type: ignore[arg-type]


def environment(directory: Path, *, trim_blocks: bool = False) -> CountingEnvironment:
    return CountingEnvironment(
        loader=FileSystemLoader(directory),
        autoescape=True,
        trim_blocks=trim_blocks,
        bytecode_cache=CompiledTemplates(),
    )


def rendered(environment: Environment) -> str:
    return environment.get_template("page.html").render(name="<Alice>")


def kept(directory: Path) -> list[Path]:
    return sorted((directory / "__pycache__").iterdir())


def test_a_template_is_compiled_once_for_all_processes(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("Hello {{ name }}")
    first, second = environment(tmp_path), environment(tmp_path)
    assert rendered(first) == rendered(second) == "Hello &lt;Alice&gt;"
    assert (first.compiled, second.compiled) == (1, 0)
    assert [path.name for path in kept(tmp_path)] == [f"page.html.{sys.implementation.cache_tag}.compiled"]


def test_another_source_is_compiled_again(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("Hello {{ name }}")
    rendered(environment(tmp_path))
    (tmp_path / "page.html").write_text("Good day {{ name }}")
    assert rendered(environment(tmp_path)) == "Good day &lt;Alice&gt;"
    assert len(kept(tmp_path)) == 1


def test_other_rules_compile_again(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{% if name %}\nHello{% endif %}")
    assert rendered(environment(tmp_path)) == "\nHello"
    assert rendered(environment(tmp_path, trim_blocks=True)) == "Hello"


@pytest.mark.parametrize("length", [0, 10, 64, 80])
def test_a_file_that_was_cut_off_counts_for_nothing(tmp_path: Path, length: int) -> None:
    (tmp_path / "page.html").write_text("Hello {{ name }}")
    rendered(environment(tmp_path))
    [file] = kept(tmp_path)
    file.write_bytes(file.read_bytes()[:length])
    assert rendered(environment(tmp_path)) == "Hello &lt;Alice&gt;"
    after = environment(tmp_path)
    assert rendered(after) == "Hello &lt;Alice&gt;"
    assert after.compiled == 0


def test_where_nothing_can_be_written_pages_are_made_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("Hello {{ name }}")
    (tmp_path / "__pycache__").write_text("not a directory")
    assert rendered(environment(tmp_path)) == "Hello &lt;Alice&gt;"


def test_nothing_is_written_where_python_writes_no_bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.html").write_text("Hello {{ name }}")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(environment(tmp_path)) == "Hello &lt;Alice&gt;"
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize("directory", APPS, ids=lambda path: path.parent.name)
def test_no_template_gives_a_constant_to_a_filter(directory: Path) -> None:
    """Jinja would compute it at once and keep the result, which would outlive a change of the filter."""
    of_app = rendering.environment_of(directory)
    for name in of_app.list_templates(extensions=["html"]):
        assert of_app.loader is not None
        source, _, _ = of_app.loader.get_source(of_app, name)
        for found in of_app.parse(source).find_all(nodes.Filter):
            with pytest.raises(nodes.Impossible):
                found.as_const()
