"""The rules of infra/Dockerfile: what is pinned, who runs, what gets into each image and what does not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.version import VERSION

TARGETS = frozenset({"production", "simulator"})
NEVER_IN_AN_IMAGE = ("tests", "bench", "chaos", "docs", "var", ".git", ".venv")
NEVER_IN_PRODUCTION = (
    "services/dummy_bank",
    "infra/demo",
    "infra/seed",
    "infra/screenshots",
    "infra/documentation",
)

PINNED = re.compile(r"[a-z0-9./_-]+:v?\d+(\.\d+)+[a-z0-9.-]*@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the Dockerfile: what it is built from, and its instructions, continued lines joined."""

    name: str
    base: str
    instructions: tuple[tuple[str, str], ...]

    def arguments_of(self, word: str) -> list[str]:
        """What follows each of these instructions."""
        return [arguments for instruction, arguments in self.instructions if instruction == word]


def stages(text: str) -> dict[str, Stage]:
    """The stages of a Dockerfile by name, in order; `ARG`s before the first are put in where `FROM` names them."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    given: dict[str, str] = {}
    found: list[tuple[str, str, list[tuple[str, str]]]] = []
    for word, _, arguments in (line.strip().partition(" ") for line in lines if line.strip()):
        if word == "FROM":
            base, _, name = re.sub(r"\$\{(\w+)\}", lambda match: given.get(match[1], ""), arguments).partition(" AS ")
            found.append((name or str(len(found)), base, []))
        elif found:
            found[-1][2].append((word, arguments.strip()))
        elif word == "ARG":
            name, _, given[name] = arguments.partition("=")
    return {name: Stage(name, base, tuple(instructions)) for name, base, instructions in found}


def lineage(all_stages: Mapping[str, Stage], name: str) -> list[Stage]:
    """This stage and those it is built from, the first of them first."""
    stage = all_stages[name]
    return [*(lineage(all_stages, stage.base) if stage.base in all_stages else []), stage]


def copied(all_stages: Mapping[str, Stage], name: str) -> list[tuple[str, str]]:
    """What this target copies from the checkout: each source with where it goes."""
    pairs = []
    for stage in lineage(all_stages, name):
        for arguments in stage.arguments_of("COPY"):
            *sources, target = arguments.split()
            if not arguments.startswith("--from="):
                pairs += [(source, target) for source in sources]
    return pairs


def _built_in_stages(built: Mapping[str, Stage]) -> Iterator[str]:
    for name in ("packages", "runtime", "simulator", "production"):
        if name not in built:
            yield f"there is no stage {name}"
    if list(built)[-1:] != ["production"]:
        yield "the last stage must be production: it is built when no target is named"
    for stage in built.values():
        if stage.base not in built and not PINNED.fullmatch(stage.base):
            yield f"the base of {stage.name} is not pinned by version and digest: {stage.base or 'none'}"


def _not_root(built: Mapping[str, Stage]) -> Iterator[str]:
    for target in TARGETS & built.keys():
        users = [user for stage in lineage(built, target) for user in stage.arguments_of("USER")]
        if not users or users[-1].split(":")[0] in {"root", "0"}:
            yield f"{target} must end as a user that is not root"


def _only_what_runs(built: Mapping[str, Stage]) -> Iterator[str]:
    for target in TARGETS & built.keys():
        sources = [source.rstrip("/") for source, _ in copied(built, target)]
        if "pyproject.toml" not in sources:
            yield f"{target}: pyproject.toml must be copied, it says which version this is"
        for source in sources:
            is_whole_folder = source in {".", "services", "infra"}
            is_other = source.split("/")[0] in NEVER_IN_AN_IMAGE or source in NEVER_IN_PRODUCTION
            if is_whole_folder or (is_other and (target, source) != ("simulator", "services/dummy_bank")):
                yield f"{target} must not copy {source}: each part that runs is named, and no other gets in"


def _installs(built: Mapping[str, Stage]) -> Iterator[str]:
    commands = {name: " ".join(stage.arguments_of("RUN")) for name, stage in built.items()}
    installs = re.findall(r"pip(?: --python \S+)? install[^&;]*", " & ".join(commands.values()))
    if not installs or any("--require-hashes" not in install for install in installs):
        yield "every pip install needs --require-hashes"
    if any(re.search(r"\bpip(?: --python \S+)? install\b", commands[name]) for name in commands if name != "packages"):
        yield "packages must be installed in the stage packages only"
    if any(re.search(r"--(extra-)?index-url", command) for command in commands.values()):
        yield "a registry address belongs to the machine, not to the file"
    if "venv --without-pip" not in commands.get("packages", ""):
        yield "the environment must be made without pip: python -m venv --without-pip"
    for tool in ("bin/pip", "bin/wheel", "ensurepip", "site-packages/*"):
        if tool not in re.sub(r"&&.*", "", commands.get("runtime", "")).partition("rm -rf")[2]:
            yield f"runtime must remove {tool} of its base: nothing installs there"
    if re.search(r"\b(apt-get|apk|gcc|build-essential)\b", " ".join(commands.values())):
        yield "nothing is compiled and no package of the system is added"


def _described(built: Mapping[str, Stage]) -> Iterator[str]:
    for target in TARGETS & built.keys():
        labels = " ".join(label for stage in lineage(built, target) for label in stage.arguments_of("LABEL"))
        for label in ("title", "description", "version", "revision", "licenses"):
            if f"org.opencontainers.image.{label}=" not in labels:
                yield f"{target} has no label org.opencontainers.image.{label}"
        if f'org.opencontainers.image.version="{VERSION}"' not in labels:
            yield f"{target} must be labelled with the version of pyproject.toml, {VERSION}"
        environment = [each for stage in lineage(built, target) for each in stage.arguments_of("ENV")]
        if "BATUA_ENV=" not in environment:
            yield f"{target}: ENV BATUA_ENV= must leave no default for where a container runs"
        if not any("PATH=/opt/batua/bin:" in each for each in environment):
            yield f"{target}: PATH must begin with /opt/batua/bin, where the batua command is"
    commands = [each.split() for each in built["packages"].arguments_of("COPY")] if "packages" in built else []
    if ["infra/container/batua", "/opt/batua/bin/batua"] not in commands:
        yield "the batua command must be copied to /opt/batua/bin/batua"


def check_dockerfile(text: str, ignore: str) -> list[str]:
    """Every rule that this Dockerfile breaks, beside this .dockerignore."""
    built = stages(text)
    rules = (_built_in_stages, _not_root, _only_what_runs, _installs, _described)
    problems = [problem for rule in rules for problem in rule(built)]
    let_in = [line.removeprefix("!") for line in ignore.splitlines() if line.startswith("!")]
    problems += [
        f"{source} is copied, and .dockerignore keeps it out"
        for source in sorted({source for name in built for source, _ in copied(built, name)})
        if not any(source == each or source.startswith(f"{each}/") for each in let_in)
    ]
    return [f"infra/Dockerfile: {problem}" for problem in dict.fromkeys(problems)]
