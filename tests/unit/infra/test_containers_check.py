import pytest

from infra.containers_check import ROOT, check_compose, check_dockerfile

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "infra" / "Dockerfile").read_text(encoding="utf-8")


def test_the_files_of_this_checkout_break_no_rule() -> None:
    assert check_compose(COMPOSE) == []
    assert check_dockerfile(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("image: batua:", "image: batua:9", "user_app has the image batua:9"),
        ("  scheduler:\n", "  another:\n", "there is no service scheduler"),
        ("postgres:18.1-bookworm", "postgres:latest", "postgres does not pin its image"),
        ("condition: service_completed_successfully", "condition: service_started", "must wait for migrate"),
        ("redis: {condition: service_healthy}", "redis: {condition: service_started}", "must wait for redis"),
        ("test: [CMD, redis-cli, ping]", "disable: true", "redis has no health check"),
        ("${BATUA_PIN_PEPPER:?set it, or use make compose-up}", "pepper", "must take BATUA_PIN_PEPPER"),
        ("${BATUA_PIN_PEPPER:?set it, or use make compose-up}", "${BATUA_PIN_PEPPER:-x}", "BATUA_PIN_PEPPER"),
        ("BATUA_SMTP_HOST: mail", "BATUA_SMTP_HOST: ${HOST:-mail}", "gives BATUA_SMTP_HOST a default"),
        ("127.0.0.1:8001:8000", "8001:8000", "user_app opens port"),
        ("python, -m, services.user_app", "python, -m, uvicorn", "user_app must be started by python -m services"),
        ("max_connections=240", "max_connections=100", "postgres must allow as many connections"),
    ],
)
def test_a_compose_file_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in COMPOSE
    assert any(problem in found for found in check_compose(COMPOSE.replace(was, becomes)))


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("COPY pyproject.toml", "COPY LICENSE", "pyproject.toml must be copied"),
        ("USER 10001:10001", "USER root", "not root"),
        ("FROM python:3.11.14-slim-bookworm AS", "FROM python:latest AS", "not pinned"),
        ("--require-hashes ", "", "--require-hashes"),
        ("pip install ", "pip install --index-url x ", "registry address"),
    ],
)
def test_a_dockerfile_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in DOCKERFILE
    assert any(problem in found for found in check_dockerfile(DOCKERFILE.replace(was, becomes)))
