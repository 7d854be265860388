"""Drills that an operator runs by hand: they break a deployment of their own, and judge what its callers noticed."""
