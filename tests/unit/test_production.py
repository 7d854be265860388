"""What `BATUA_ENV=production` refuses: everything at once, by the name of each setting."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from pydantic_settings import BaseSettings
from typer.testing import CliRunner

from infra.cli.main import app
from services.bank_webhook.settings import BankWebhookSettings
from services.merchant_app.main import create_app
from services.merchant_app.settings import MerchantAppSettings
from services.user_app.settings import UserAppSettings
from services.withdraw_worker.settings import WorkerSettings
from shared.config import DatabaseSettings
from shared.redis.settings import RedisSettings
from tests.support.number_keys import NUMBER_KEY

KEY = "0123456789abcdefghijklmnop"
WHSEC = "whsec_Zm9ydHktdHdvIGRpZmZlcmVudCBieXRlcw=="
SAFE = {
    "BATUA_ENV": "production",
    "BATUA_DATABASE_URL": f"postgresql://role:{KEY}@db.example:5432/batua?sslmode=require",
    "BATUA_REDIS_URL": f"rediss://:{KEY}@cache.example:6379/0",
    "BATUA_BROKER_URL": f"rediss://:{KEY}@broker.example:6379/0",
    "BATUA_TOKEN_KEYS": KEY,
    "BATUA_PIN_PEPPER": KEY,
    "BATUA_ACCOUNT_NUMBER_KEYS": NUMBER_KEY,
    "BATUA_USER_APP_URL": "https://wallet.example",
    "BATUA_MERCHANT_APP_URL": "https://shops.example",
    "BATUA_SMTP_HOST": "mail.example",
    "BATUA_SMTP_PORT": "587",
    "BATUA_SMTP_TLS": "starttls",
    "BATUA_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8",
    **{f"BATUA_BANK_{bank}_URL": "https://bank.example/api" for bank in ("HDFC", "AXIS")},
    **{f"BATUA_BANK_{bank}_API_KEY": KEY for bank in ("HDFC", "AXIS")},
    **{f"BATUA_BANK_{bank}_WEBHOOK_SECRETS": WHSEC for bank in ("HDFC", "AXIS")},
    **{f"BATUA_BANK_{bank}_WEBHOOK_NETWORKS": "192.0.2.0/24" for bank in ("HDFC", "AXIS")},
}
SERVICES = (UserAppSettings, MerchantAppSettings, BankWebhookSettings, WorkerSettings)
REFUSED = [
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@db.example/batua", "without TLS"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@10.9.0.1/batua?sslmode=prefer", "without TLS"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@127.0.0.1,db.example/batua", "without TLS"),
    (DatabaseSettings, "BATUA_DATABASE_URL", "postgresql://postgres:postgres@127.0.0.1/batua", "weak"),
    (DatabaseSettings, "BATUA_DATABASE_URL", "postgresql://role@127.0.0.1/batua", "no password"),
    (DatabaseSettings, "BATUA_PRIVATE_NETWORKS", "10.0.0.0/8,0.0.0.0/0", "0.0.0.0/0, which is far more"),
    (RedisSettings, "BATUA_REDIS_URL", "redis://127.0.0.1:6379/0", "no password"),
    (RedisSettings, "BATUA_REDIS_URL", f"redis://:{KEY}@cache.example:6379/0", "without TLS"),
    (RedisSettings, "BATUA_BROKER_URL", "rediss://:redis@broker.example:6379/0", "weak"),
    (RedisSettings, "BATUA_BROKER_URL", "amqps://guest:guest@broker.example", "weak"),
    (RedisSettings, "BATUA_BROKER_URL", f"amqp://batua:{KEY}@broker.example", "without TLS: use amqps://"),
    (RedisSettings, "BATUA_REDIS_URL", f"sentinel://:{KEY}@10.0.0.1,cache.example?master=batua", "use sentinels://"),
    (WorkerSettings, "BATUA_SMTP_TLS", "none", "BATUA_SMTP_HOST reaches mail.example without TLS"),
    (WorkerSettings, "BATUA_BANK_HDFC_URL", "http://bank.example", "https"),
    (UserAppSettings, "BATUA_BANK_AXIS_PAGES_URL", "http://bank.example", "https"),
    (UserAppSettings, "BATUA_USER_APP_URL", "http://wallet.example", "https"),
    (MerchantAppSettings, "BATUA_USER_APP_URL", "http://wallet.example", "https"),
    (MerchantAppSettings, "BATUA_MERCHANT_APP_URL", "http://shops.example", "https"),
    (BankWebhookSettings, "BATUA_BANK_HDFC_WEBHOOK_NETWORKS", "0.0.0.0/0", "far more than one network"),
    (BankWebhookSettings, "BATUA_BANK_AXIS_WEBHOOK_NETWORKS", "192.0.2.1,::/0", "far more than one network"),
    (BankWebhookSettings, "BATUA_TRUSTED_PROXIES", "0.0.0.0/1,128.0.0.0/1", "far more than one network"),
    (UserAppSettings, "BATUA_PIN_ATTEMPTS", "11", "set 10 or fewer"),
    (UserAppSettings, "BATUA_BCRYPT_ROUNDS", "11", "set 12 or more"),
    (UserAppSettings, "BATUA_PIN_PEPPER", "changeme-changeme-now", "weak"),
    (WorkerSettings, "BATUA_ACCOUNT_NUMBER_KEYS", f"1:{'A' * 43}", "weak"),
    (UserAppSettings, "BATUA_RATE_LIMITS__ENABLED", "false", "leave it out"),
    (UserAppSettings, "BATUA_RATE_LIMITS__LOGIN_PER_ADDRESS", "101/minute", "more than 100"),
    (UserAppSettings, "BATUA_RATE_LIMITS__LOGIN_PER_ADDRESS", "2 per second", "more than 100"),
    (UserAppSettings, "BATUA_RATE_LIMITS__LOGIN_PER_ADDRESS", "often", "no rate"),
    (UserAppSettings, "BATUA_WELCOME_BALANCE_PAISE", "1", "leave it out"),
]
ACCEPTED = [
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@127.0.0.1/batua"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@[::1]/batua"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@localhost/batua"),
    (DatabaseSettings, "BATUA_DATABASE_URL", "postgresql://role@/batua?host=/run/postgresql"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@10.1.2.3/batua"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@postgres/batua"),
    (DatabaseSettings, "BATUA_DATABASE_URL", f"postgresql://role:{KEY}@db.eu.internal/batua"),
    (RedisSettings, "BATUA_REDIS_URL", "unix:///run/redis.sock"),
    (RedisSettings, "BATUA_REDIS_URL", f"redis://:{KEY}@10.1.2.3:6379/0"),
    (RedisSettings, "BATUA_REDIS_URL", f"sentinels://:{KEY}@one.example,two.example/0?master=batua"),
    (RedisSettings, "BATUA_REDIS_URL", f"sentinel://:{KEY}@10.1.2.3,10.1.2.4/0?master=batua"),
    (RedisSettings, "BATUA_BROKER_URL", f"rediss://:{KEY}@broker.example/0"),
    (RedisSettings, "BATUA_BROKER_URL", f"sentinels://:{KEY}@one.example:26380,two.example/0?master=batua"),
    (RedisSettings, "BATUA_BROKER_URL", f"amqps://batua:{KEY}@broker.example/batua"),
    (RedisSettings, "BATUA_BROKER_URL", f"amqp://batua:{KEY}@broker.eu.internal/batua"),
    (UserAppSettings, "BATUA_RATE_LIMITS__LOGIN_PER_ADDRESS", "1500/15minutes"),
    (UserAppSettings, "BATUA_PIN_ATTEMPTS", "10"),
]

Set = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Set:
    """Settings that production accepts; returns what changes one."""
    for name, value in SAFE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch.setenv


@pytest.mark.parametrize("kind", SERVICES)
def test_safe_settings_are_accepted(kind: type[BaseSettings]) -> None:
    kind()


@pytest.mark.parametrize(("kind", "variable", "value", "reason"), REFUSED)
def test_an_unsafe_setting_is_refused_by_name(
    environment: Set, kind: type[BaseSettings], variable: str, value: str, reason: str
) -> None:
    environment(variable, value)
    with pytest.raises(ValueError, match="BATUA_ENV=production refuses") as refused:
        kind()
    assert reason in str(refused.value)
    assert variable in str(refused.value) or variable in reason or variable == "BATUA_SMTP_TLS"
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(("kind", "variable", "value", "reason"), REFUSED)
def test_a_machine_without_real_money_may_have_it(
    environment: Set, kind: type[BaseSettings], variable: str, value: str, reason: str
) -> None:
    environment(variable, value)
    environment("BATUA_ENV", "local")
    kind()


@pytest.mark.parametrize(("kind", "variable", "value"), ACCEPTED)
def test_what_stays_on_the_machine_or_in_a_private_network_needs_no_tls(
    environment: Set, kind: type[BaseSettings], variable: str, value: str
) -> None:
    environment("BATUA_PRIVATE_NETWORKS", "10.1.0.0/16")
    environment("BATUA_PRIVATE_HOSTS", "postgres, .internal")
    environment(variable, value)
    kind()


def test_a_service_lists_all_that_is_refused_and_does_not_start(
    environment: Set, capsys: pytest.CaptureFixture[str]
) -> None:
    environment("BATUA_DATABASE_URL", "postgresql://merchant_app:batua@postgres:5432/batua")
    environment("BATUA_REDIS_URL", "redis://cache:6379/0")
    environment("BATUA_PIN_ATTEMPTS", "100")
    with pytest.raises(SystemExit, match=str(os.EX_CONFIG)):
        create_app()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines[1:]] == [
        *("BATUA_PIN_ATTEMPTS", "BATUA_REDIS_URL", "BATUA_REDIS_URL", "BATUA_DATABASE_URL", "BATUA_DATABASE_URL"),
    ], lines


@pytest.mark.parametrize("env", ["", "staging"])
def test_where_it_runs_is_said_in_so_many_words(environment: Set, capsys: pytest.CaptureFixture[str], env: str) -> None:
    """The image sets `BATUA_ENV` to nothing, so that a container without it does not start."""
    environment("BATUA_ENV", env)
    with pytest.raises(SystemExit, match=str(os.EX_CONFIG)):
        create_app()
    assert capsys.readouterr().err == "BATUA_ENV: Input should be 'local' or 'production'\n"


def test_services_get_no_weak_password_in_production(environment: Set) -> None:
    environment("BATUA_DATABASE_URL", f"postgresql://role:{KEY}@127.0.0.1:9/batua")
    for role in ("USER_APP", "MERCHANT_APP", "BANK_WEBHOOK", "WITHDRAW_WORKER"):
        environment(f"BATUA_POSTGRES_PASSWORD_{role}", KEY if role != "USER_APP" else "user_app")
    refused = CliRunner().invoke(app, ["migrate", "--service-roles"])
    assert refused.exit_code == 1
    assert "BATUA_POSTGRES_PASSWORD_USER_APP is weak" in refused.stderr
    assert "MERCHANT_APP" not in refused.stderr
