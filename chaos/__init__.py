"""`make chaos`: real traffic over HTTP while everything breaks; afterwards every paisa is accounted for.

It judges by what callers were told and by a model of its own. It uses no code of the ledger, the proof or the
reconciliation, which it runs as an operator would: by the command line.
"""
