"""The database's roles: who may connect, and what each may do."""
