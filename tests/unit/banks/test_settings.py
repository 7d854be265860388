"""The banks' settings: one set per bank of the table, under names that do not change."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.bank_webhook.settings import WebhookSettings
from services.dummy_bank.settings import SimulatedBankSettings
from shared.banks.settings import BankSettings
from shared.banks.table import BANKS

SECRET = "whsec_Zm9ydHktdHdvIGRpZmZlcmVudCBieXRlcw=="


def environment(prefix: str, *names: str, value: str) -> dict[str, str]:
    return {f"{prefix}{code.upper()}_{name}": value for code in BANKS for name in names}


def with_variables(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_endpoints_are_read_from_the_variables_of_each_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    with_variables(monkeypatch, environment("BATUA_BANK_", "URL", value="http://bank.test"))
    with_variables(monkeypatch, environment("BATUA_BANK_", "API_KEY", value="the key"))
    banks = BankSettings().banks
    assert list(banks) == list(BANKS)
    for code, endpoint in banks.items():
        assert (endpoint.code, endpoint.name, endpoint.pages_url) == (code, BANKS[code].name, "")
        assert (endpoint.url, endpoint.api_key.get_secret_value()) == ("http://bank.test", "the key")
        assert "the key" not in repr(endpoint)


def test_senders_are_read_from_comma_separated_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    with_variables(monkeypatch, environment("BATUA_BANK_", "WEBHOOK_SECRETS", value=f"{SECRET}, {SECRET}"))
    with_variables(monkeypatch, environment("BATUA_BANK_", "WEBHOOK_NETWORKS", value="10.0.0.0/8, ::1/128"))
    senders = WebhookSettings().senders
    assert list(senders) == list(BANKS)
    for sender in senders.values():
        assert [secret.get_secret_value() for secret in sender.webhook_secrets] == [SECRET, SECRET]
        assert [str(network) for network in sender.webhook_networks] == ["10.0.0.0/8", "::1/128"]


def test_simulated_banks_are_read_from_variables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with_variables(monkeypatch, environment("DUMMY_BANK_", "API_KEY", "WEBHOOK_SECRET", "WEBHOOK_URL", value=SECRET))
    profiles = SimulatedBankSettings().banks
    assert [(profile.code, profile.utr_prefix) for profile in profiles.values()] == [
        (bank.code, bank.ifsc_prefix) for bank in BANKS.values()
    ]


@pytest.mark.parametrize(("name", "weak"), [("API_KEY", "changeme"), ("URL", None)])
def test_a_weak_or_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, weak: str | None) -> None:
    with_variables(monkeypatch, environment("BATUA_BANK_", "URL", "API_KEY", value="https://a-long.and/various-text"))
    monkeypatch.setenv("BATUA_ENV", "production")
    variable = f"BATUA_BANK_AXIS_{name}"
    if weak is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, weak)
    with pytest.raises(ValidationError) as invalid:
        BankSettings()
    assert variable in _variables(invalid.value)


def _variables(error: ValidationError) -> str:
    found: list[Any] = [
        f"BATUA_{'_'.join(map(str, problem['loc'])).upper()} {problem['msg']}" for problem in error.errors()
    ]
    return "; ".join(found)
