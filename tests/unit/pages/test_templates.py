"""No page may need what the Content-Security-Policy forbids, or print anything unescaped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import nodes

from shared.pages import rendering

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted([*ROOT.glob("shared/pages/templates/*.html"), *ROOT.glob("services/*/templates/*.html")])
JINJA = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
UNESCAPED = re.compile(r"\|\s*safe\b|autoescape\s+false|Markup\(", re.I)
FORBIDDEN = {
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)", re.I),
    "an inline style": re.compile(r"<style\b|\sstyle\s*=", re.I),
    "an inline handler": re.compile(r"\son[a-z]+\s*=", re.I),
    "a script in an address": re.compile(r"javascript:", re.I),
    "a file of another origin": re.compile(r"(?:src|href)\s*=\s*[\"'](?:https?:)?//", re.I),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parents[1].name}/{path.name}")
@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_template_holds(path: Path, what: str) -> None:
    found = FORBIDDEN[what].search(JINJA.sub("", path.read_text()))
    assert found is None, f"{path.name} holds {what}: {found[0]!r}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parents[1].name}/{path.name}")
def test_no_template_prints_unescaped(path: Path) -> None:
    assert UNESCAPED.search(path.read_text()) is None


@pytest.mark.parametrize(
    ("what", "example"),
    [
        ("an inline script", "<script>1</script>"),
        ("an inline style", '<p style="color:red">'),
        ("an inline handler", '<a onclick="f()">'),
        ("an inline style", '<p style="width:{{ width }}">'),
        ("a file of another origin", '<img src="//cdn.example/x.png">'),
    ],
)
def test_the_scan_finds(what: str, example: str) -> None:
    assert FORBIDDEN[what].search(JINJA.sub("", example))
    assert UNESCAPED.search("{{ name | safe }}")


def test_the_templates_of_every_app_can_be_read() -> None:
    for directory in {path.parent for path in TEMPLATES if "dummy_bank" not in path.parts}:
        environment = rendering.environment_of(directory)
        assert environment.autoescape is True


def test_macros_escape_their_arguments() -> None:
    environment = rendering.environment_of(ROOT / "shared/pages/templates")
    source = """{% import "components.html" as ui %}{{ ui.notice(evil) }}{{ ui.badge(evil) }}{{ ui.avatar(evil) }}
    {{ ui.share(evil, evil) }}{{ ui.empty("list", evil, evil, "/", evil) }}
    {% call ui.row(evil, evil, href="/", name=evil) %}{{ evil }}{% endcall %}"""
    shown = environment.from_string(source).render(evil='"><script>alert(1)</script>')
    assert "<script" not in shown
    assert '""' not in shown.replace('class=""', "")


def test_every_parameter_of_a_macro_is_given_by_some_template() -> None:
    environment = rendering.environment_of(ROOT / "services/user_app/templates")
    sources = [path.read_text() for path in TEMPLATES if "dummy_bank" not in path.parts]
    given: dict[str, set[str]] = {}
    most: dict[str, int] = {}
    for call in (call for source in sources for call in environment.parse(source).find_all(nodes.Call)):
        name = call.node.attr if isinstance(call.node, nodes.Getattr) else getattr(call.node, "name", "")
        given.setdefault(name, set()).update(each.key for each in call.kwargs)
        most[name] = max(most.get(name, 0), len(call.args))
    for macro in (macro for source in sources for macro in environment.parse(source).find_all(nodes.Macro)):
        later = {each.name for each in macro.args[most.get(macro.name, 0) :]}
        assert later <= given.get(macro.name, set()), macro.name


def test_every_class_of_the_stylesheet_is_on_some_page() -> None:
    stylesheet = (ROOT / "shared/pages/static/batua.css").read_text()
    classes = set(re.findall(r"\.([a-z][a-z-]+)(?=[^{}]*\{)", re.sub(r"/\*.*?\*/", "", stylesheet, flags=re.DOTALL)))
    script = re.sub(r"//.*", "", (ROOT / "shared/pages/static/batua.js").read_text())
    pages = script + "".join(path.read_text() for path in TEMPLATES)
    made = {"is-up", "is-down", *(f"tone-{tone}" for tone in ("good", "bad", "wait", "calm")), "money-lg", "money-xl"}
    assert {each for each in classes - made if not re.search(rf"(?<![\w-]){each}(?![\w-])", pages)} == set()
