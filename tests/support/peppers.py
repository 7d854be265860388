"""The pepper of PINs in the tests of one process.

Installations with one pepper share what an address may hash with on this machine; tests in other processes are others.
"""

from shared.ids import new_token

PEPPER = f"a pepper {new_token()}"
