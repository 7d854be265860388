"""Keys of account numbers, for tests only."""

from __future__ import annotations

from pydantic import SecretStr

from shared.banks.number_keys import NumberKeys

NUMBER_KEY = "tests:WYMOvDpBhBEFZr8aKQ0IRz39y9SSzkmLFM0aXi-i5EE"
NEWER_NUMBER_KEY = "newer:mDZK6Yzilsu0SG1jJUZqtcW1v67SUMNfaCowwcnsqU8"
NUMBER_KEYS = NumberKeys([SecretStr(NUMBER_KEY)])
ROTATED = NumberKeys([SecretStr(NEWER_NUMBER_KEY), SecretStr(NUMBER_KEY)])
"""A newer key is the current one, and the older one still decrypts."""
ONLY_NEWER = NumberKeys([SecretStr(NEWER_NUMBER_KEY)])
