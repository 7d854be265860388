import re

import pytest

from infra.containers_check.compose import check_compose
from infra.containers_check.dockerfile import check_dockerfile
from infra.containers_check.networks import check_networks, check_proxy
from infra.local.layout import CHECKOUT

COMPOSE = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (CHECKOUT / "infra" / "Dockerfile").read_text(encoding="utf-8")
PROXY = (CHECKOUT / "infra" / "proxy" / "Caddyfile").read_text(encoding="utf-8")
IGNORE = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8")


def test_the_files_of_this_checkout_break_no_rule() -> None:
    assert check_compose(COMPOSE) == []
    assert check_networks(COMPOSE) == []
    assert check_proxy(PROXY, COMPOSE) == []
    assert check_dockerfile(DOCKERFILE, IGNORE) == []


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("image: batua:0.1.0", "image: batua:9", "user_app_1 has the image batua:9"),
        ("  scheduler:\n", "  another:\n", "there is no service scheduler"),
        ("  user_app_2: *user-app\n", "", "there is no service user_app_2"),
        ("  tempo:\n    <<", "  other:\n    <<", "there is no service tempo"),
        ("    profiles: [simulator]\n", "", "dummy_bank must be in the profile simulator"),
        (
            "  mail:\n    <<: *hardened\n",
            "  mail:\n    <<: *hardened\n    profiles: [backup]\n",
            "mail must be in no profile",
        ),
        ("x-logging:", "name: batua\nx-logging:", "docker-compose 1.29 does not know the key name"),
        ("$$(cat", "$(cat", "must be written $$("),
        (
            "@sha256:cc9f4143a8d2fa8cf3749d0cb4d26ecf2d53a77a2ac807e9ebd67ae22426221a\n    # P",
            "\n    # P",
            "postgres does not pin its image",
        ),
        ("redis:8.4.0-bookworm@", "redis:latest@", "broker does not pin its image"),
        ("postgres:18.1-", "postgres:17.1-", "postgres must be PostgreSQL 18"),
        ("target: production", "target: simulator", "user_app_1 must be built with target production"),
        ("target: simulator", "target: production", "dummy_bank must be built with target simulator"),
        ("  read_only: true\n", "", "proxy must have a read-only root"),
        ("  cap_drop: [ALL]\n", "", "cache must give up every capability"),
        ("    shm_size: 256m\n", "    shm_size: 256m\n    privileged: true\n", "postgres must not share the machine's"),
        ("cap_add: [NET_BIND_SERVICE]", "cap_add: [SYS_ADMIN]", "proxy must not get the capability SYS_ADMIN"),
        ('  security_opt: ["no-new-privileges:true"]\n', "", "mail must gain no privileges"),
        ("    mem_limit: 2g\n", "", "postgres must have a bound: mem_limit"),
        ("  pids_limit: 256\n  depends", "  depends", "user_app_2 must have a bound: pids_limit"),
        ("options: {max-size: 10m, ", "options: {", "the log of withdraw_worker must be rotated"),
        ("condition: service_completed_successfully", "condition: service_started", "must wait for migrate"),
        ("broker: {condition: service_healthy}", "broker: {condition: service_started}", "must wait for broker"),
        ("healthcheck: *redis-ping", "healthcheck: {disable: true}", "cache has no health check"),
        ('"http://127.0.0.1:8000/healthz"', "/tmp/heartbeat", "the health check of user_app_1 must be"),
        ("infra.healthcheck, /tmp/heartbeat", "celery, inspect, ping", "the health check of withdraw_worker must be"),
        ("BATUA_HEARTBEAT_FILE:", "BATUA_LOG_LEVEL:", "the health check of scheduler must be"),
        (
            "BATUA_SECRETS_DIRECTORY: /run/secrets\n  B",
            "BATUA_PIN_PEPPER: x\n  B",
            "must get BATUA_PIN_PEPPER as a file",
        ),
        ("  BATUA_SECRETS_DIRECTORY: /run/secrets\n  B", "  B", "user_app_1 must read its secrets"),
        ("BATUA_ENV: ${BATUA_ENV:?use make compose-up}", "BATUA_ENV: local", "user_app_1 must be told BATUA_ENV"),
        ("BATUA_ENV: ${BATUA_ENV:?use make compose-up}", "BATUA_LOG_LEVEL: INFO", "migrate must be told BATUA_ENV"),
        ('BATUA_SHUTDOWN_DELAY_SECONDS: "5"', 'BATUA_SHUTDOWN_DELAY_SECONDS: "1"', "merchant_app_2 must let the proxy"),
        ("  BATUA_SHUTDOWN_DELAY_SECONDS", "  BATUA_LOG_LEVEL", "bank_webhook_1 must let the proxy notice its stop"),
        ("${BATUA_SMTP_HOST:?use make compose-up}", "${HOST:-mail}", "gives BATUA_SMTP_HOST a default"),
        ("    - {source: pin_pepper, target: BATUA_PIN_PEPPER}\n", "", "lacks the secret BATUA_PIN_PEPPER"),
        (
            "{source: bank_webhook_database_url, target: BATUA_DATABASE_URL}",
            "{source: account_number_keys, target: BATUA_ACCOUNT_NUMBER_KEYS}",
            "bank_webhook_1 does not read BATUA_ACCOUNT_NUMBER_KEYS",
        ),
        (
            "source: user_app_database_url",
            "source: batua_database_url",
            "user_app_1 must connect to Postgres as user_app",
        ),
        ("  pin_pepper: {file: ./var/compose/pin_pepper}\n", "", "from pin_pepper, which is not declared"),
        (
            "{file: ./var/compose/pin_pepper}",
            "{file: ./pin_pepper}",
            "the secret pin_pepper must be a file in ./var/compose",
        ),
        ("python, -m, services.user_app", "python, -m, uvicorn", "user_app_1 must be started by python -m services"),
        (
            "--maxmemory-policy, noeviction",
            "--maxmemory-policy, allkeys-lru",
            "broker must run with --maxmemory-policy",
        ),
        ("--maxmemory-policy, volatile-ttl", "--save, x", "cache must run with --maxmemory-policy volatile-ttl or"),
        ("--maxmemory, 256mb, ", "", "cache must run with --maxmemory"),
        ('--port, "0"', '--port, "6380"', "broker must speak TLS only"),
        (
            "redis-server, /run/secrets/redis_password_file",
            "redis-server, --daemonize",
            "cache must ask for a password",
        ),
        ("--max_connections=260", "--max_connections=100", "postgres must allow as many connections"),
        ("--log_error_verbosity=terse", "--log_error_verbosity=verbose", "postgres must log no values of statements"),
        ("--ssl=on", "--ssl=off", "postgres must speak TLS"),
    ],
)
def test_a_compose_file_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in COMPOSE
    found = check_compose(COMPOSE.replace(was, becomes))
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("127.0.0.1:8001:8001", "8001:8001", "proxy opens port"),
        (
            "    networks: [counts]\n",
            '    networks: [counts]\n    ports: ["127.0.0.1:6379:6379"]\n',
            "cache must have no port",
        ),
        ("    networks: [counts]\n", "", "cache must name its networks"),
        ("    networks: [counts]\n", "    networks: [other]\n", "cache is in the network other, which is not declared"),
        ("  messages: {internal: true}", "  messages:", "the network messages must be internal"),
        (
            "networks: [messages]",
            "networks: [messages, webhook_database]",
            "bank_webhook_1 shares a network with broker",
        ),
        (
            "    webhook_front:\n    webhook_database:\n",
            "    webhook_front:\n    database:\n",
            "shares a network with withdraw_worker",
        ),
        ("    webhook_front:\n    webhook_database:\n", "    webhook_front:\n", "bank_webhook_1 must reach postgres"),
        ("    webhook_front:\n", "    webhook_front:\n    banks:\n", "bank_webhook_2 must have no way out: banks"),
        ("      mail:\n      watch", "      watch", "withdraw_worker must share a network with mail"),
        ("    counts:\n    banks:\n", "    banks:\n", "user_app_1 must share a network with cache"),
        ("networks: [banks, notices]", "networks: [banks, messages]", "dummy_bank shares a network with broker"),
        (
            "      messages:\n      watch",
            "      messages:\n      counts:\n      watch",
            "scheduler shares a network with cache",
        ),
        ("    networks: [mail]\n", "    networks: [mail, database]\n", "mail shares a network with postgres"),
        (
            "BATUA_TRUSTED_PROXIES: 172.30.82.2/32",
            "BATUA_TRUSTED_PROXIES: 172.30.82.0/24",
            "must trust the proxy's address alone",
        ),
        (
            "      edge:\n",
            "      edge:\n      banks: {ipv4_address: 172.30.85.2}\n",
            "user_app_1 must trust the proxy's address alone",
        ),
        (
            "ip_range: 172.30.83.128/25",
            "ip_range: 172.30.83.0/24",
            "the proxy's address in webhook_front must lie outside",
        ),
    ],
)
def test_networks_that_break_a_rule_are_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in COMPOSE
    found = check_networks(COMPOSE.replace(was, becomes))
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("read_header", "", "it must bound the time of a request's head"),
        ("read_body", "", "it must bound the time of a request's body"),
        ("max_header_size 16KB", "", "the size of a request's head"),
        ("max_size", "", "the size of a request's body"),
        ("unhealthy_request_count 2000", "", "the requests of one replica"),
        ("max_conns_per_host 2000", "", "the connections to one replica"),
        ("lb_retries 10", "", "how often a request is sent again"),
        ("request_buffers", "", "what is kept of a body to send it again"),
        ("health_uri /readyz", "health_uri /healthz", "traffic to replicas that are ready"),
        ("user_app_1:8000 user_app_2:8000", "user_app_1:8000", "it must send to every replica of user_app"),
        ("header Idempotency-Key *", "header X-Other *", "the site of merchant_app must repeat a request with"),
        ("method GET HEAD\n", "method GET HEAD POST\n", "the site of user_app must repeat GET and HEAD"),
        ("method GET HEAD POST\n", "method GET HEAD\n", "the site of bank_webhook must repeat GET and HEAD, and POST"),
        ("\timport entrance\n", "", "the site of user_app must begin with TLS"),
        ("header_up -Forwarded", "", "it must drop Forwarded"),
    ],
)
def test_a_proxy_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in PROXY
    found = check_proxy(PROXY.replace(was, becomes), COMPOSE)
    assert any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("was", "becomes", "problem"),
    [
        ("COPY pyproject.toml ./", "COPY LICENSE ./", "production: pyproject.toml must be copied"),
        ("FROM runtime AS production\nUSER 10001:10001", "FROM runtime AS production", "production must end as a user"),
        (
            "services/dummy_bank\nRUN install -d -o 10001 -g 10001 /var/lib/batua\nUSER 10001:10001",
            "services/dummy_bank",
            "simulator must end as a user",
        ),
        ('USER 10001:10001\nCMD ["batua', 'USER root\nCMD ["batua', "production must end as a user that is not root"),
        ("ENV BATUA_ENV=\n", "ENV BATUA_ENV=local\n", "no default for where a container runs"),
        (
            "@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d",
            "",
            "not pinned by version and digest",
        ),
        ("python:3.11.14-slim-bookworm@", "python:latest@", "not pinned by version and digest"),
        ("--require-hashes ", "", "--require-hashes"),
        ("install --require-hashes", "install --index-url x --require-hashes", "registry address"),
        ("-m venv --without-pip", "-m venv", "made without pip"),
        ("/usr/local/bin/pip* ", "", "runtime must remove bin/pip"),
        ("/usr/local/lib/python3.*/site-packages/* ", "", "runtime must remove site-packages/*"),
        ("    && groupadd", "    && pip install x && groupadd", "in the stage packages only"),
        ("    && groupadd", "    && apt-get install -y gcc && groupadd", "no package of the system is added"),
        ("COPY services/user_app services/user_app", "COPY services services", "production must not copy services"),
        ("COPY shared shared", "COPY shared tests ./", "production must not copy tests"),
        ("COPY shared shared", "COPY shared services/dummy_bank ./", "production must not copy services/dummy_bank"),
        ("COPY infra/cli infra/cli", "COPY infra/cli infra/seed infra/", "production must not copy infra/seed"),
        ("FROM runtime AS production", "FROM runtime AS another", "there is no stage production"),
        (
            "FROM runtime AS simulator",
            "FROM runtime AS production\nFROM runtime AS simulator",
            "the last stage must be",
        ),
        ('version="0.1.0"', 'version="9"', "labelled with the version of pyproject.toml"),
        ("image.revision=", "image.other=", "has no label org.opencontainers.image.revision"),
        ("ENV PATH=/opt/batua/bin:$PATH ", "ENV ", "PATH must begin with /opt/batua/bin"),
        ("COPY infra/container/batua", "COPY infra/container/other", "the batua command must be copied"),
    ],
)
def test_a_dockerfile_that_breaks_a_rule_is_told_which(was: str, becomes: str, problem: str) -> None:
    assert was in DOCKERFILE
    found = check_dockerfile(DOCKERFILE.replace(was, becomes), IGNORE)
    assert any(problem in each for each in found), found


def test_every_file_that_containers_mount_is_there() -> None:
    mounted = re.findall(r"^\s+- (\./infra/[^:\s]+):|\"(\./infra/[^:\s]+):", COMPOSE, flags=re.MULTILINE)
    named = [CHECKOUT / (one or other) for one, other in mounted]
    configured = re.findall(r"config\.file=/etc/(?:batua|prometheus)/([a-z]+\.yml)", COMPOSE)
    assert len(named) > 8
    assert len(configured) == 3
    missing = [
        file
        for file in (*named, *(CHECKOUT / "infra/observability" / each for each in configured))
        if not file.exists()
    ]
    assert missing == []


def test_what_is_copied_must_reach_the_engine() -> None:
    found = check_dockerfile(DOCKERFILE, IGNORE.replace("!pyproject.toml\n", ""))
    assert found == ["infra/Dockerfile: pyproject.toml is copied, and .dockerignore keeps it out"]
