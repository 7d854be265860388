"""Check the containers' files by their text, so that no Docker engine is needed.

`python -m infra.containers_check` names each rule that is broken and exits non-zero.
"""

from __future__ import annotations

import sys

import typer

from infra.containers_check.cluster import check_cluster, check_cluster_image
from infra.containers_check.compose import check_compose
from infra.containers_check.dockerfile import check_dockerfile
from infra.containers_check.networks import check_networks, check_proxy
from infra.local.layout import CHECKOUT


def main() -> None:
    """Check the files of this checkout."""
    files = ("docker-compose.yml", "infra/Dockerfile", ".dockerignore", "infra/proxy/Caddyfile", "infra/ha/Dockerfile")
    compose, dockerfile, ignore, proxy, cluster = ((CHECKOUT / file).read_text(encoding="utf-8") for file in files)
    problems = [*check_dockerfile(dockerfile, ignore), *check_compose(compose), *check_networks(compose)]
    problems += [*check_proxy(proxy, compose), *check_cluster(compose)]
    problems += check_cluster_image(cluster, dockerfile, compose)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        sys.exit(1)
    typer.echo("Containers: all present, pinned, bounded, health-checked, not root; secrets as files, networks apart.")


if __name__ == "__main__":
    main()
