"""`make drill-ha`: three nodes of Postgres under Patroni lose their leader, their network and their disk under load."""
