#!/usr/bin/env bash
# In a container of infra/ha/Dockerfile: one node of Postgres under Patroni, which PATRONI_NAME names.
# `node.sh patronictl list` asks the cluster, from within a node that runs.
set -euo pipefail

secrets=/run/secrets
export PATRONI_SUPERUSER_USERNAME=batua PATRONI_REPLICATION_USERNAME=replicator PATRONI_RESTAPI_USERNAME=batua
# Patroni reads no secret from a file. It takes these out of its environment before it starts Postgres.
PATRONI_SUPERUSER_PASSWORD=$(cat "$secrets/postgres_password_batua")
PATRONI_REPLICATION_PASSWORD=$(cat "$secrets/postgres_password_replicator")
PATRONI_RESTAPI_PASSWORD=$(cat "$secrets/patroni_password")
export PATRONI_SUPERUSER_PASSWORD PATRONI_REPLICATION_PASSWORD PATRONI_RESTAPI_PASSWORD

# Nodes call each other by their names, and verify who signed the certificate, which is that of haproxy.
export PATRONI_RESTAPI_LISTEN=0.0.0.0:8008 PATRONI_RESTAPI_CONNECT_ADDRESS="$PATRONI_NAME:8008"
export PATRONI_POSTGRESQL_LISTEN=0.0.0.0:5432 PATRONI_POSTGRESQL_CONNECT_ADDRESS="$PATRONI_NAME:5432"
export PATRONI_SUPERUSER_SSLMODE=verify-ca PATRONI_SUPERUSER_SSLROOTCERT="$secrets/authority"
export PATRONI_REPLICATION_SSLMODE=verify-ca PATRONI_REPLICATION_SSLROOTCERT="$secrets/authority"

# patroni.yml and patroni-containers.yml, which only adds to it.
configuration=/opt/batua
if [ "${1:-}" = patronictl ]; then
    shift
    exec python3 /opt/patroni/bin/patronictl --config-file "$configuration" "$@"
fi
# Postgres reads its key only from a file that no one else can read: it gets a copy, in memory.
install -m 0600 "$secrets/haproxy_key" /tmp/postgres.key
exec python3 -m patroni "$configuration"
