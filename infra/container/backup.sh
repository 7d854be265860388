#!/usr/bin/env bash
# In a container of the image of Postgres: receive the write-ahead log as it is written, and take a base backup a day.
# `backup.sh check` is its health check.
#
#     $BACKUP/wal/           the segments, the one that is being written as .partial
#     $BACKUP/base/<time>/   base backups, each verified; a week of them is kept, and the log from the oldest on
#
# A slot on the server keeps what was not received yet, up to max_slot_wal_keep_size.
set -euo pipefail

: "${BACKUP:=/var/lib/postgresql/backup}" "${KEEP_DAYS:=7}" "${EVERY_MINUTES:=1440}" "${SLOT:=backup}"
if [ -e /run/secrets/postgres_password_batua ]; then
    PGPASSWORD=$(cat /run/secrets/postgres_password_batua)
    export PGPASSWORD
fi

is_due() { [ -z "$(find "$BACKUP/base" -mindepth 1 -maxdepth 1 -name '2*' ! -name '*.partial' -mmin "-$EVERY_MINUTES")" ]; }

take_base() {
    local whole
    whole=$BACKUP/base/$(date -u +%Y%m%dT%H%M%S)
    rm -rf "$BACKUP"/base/*.partial
    pg_basebackup --no-password --pgdata "$whole.partial" --checkpoint fast --wal-method stream
    pg_verifybackup --quiet "$whole.partial"
    mv "$whole.partial" "$whole"
    touch "$whole"
}

forget_old() {
    local oldest
    find "$BACKUP/base" -mindepth 1 -maxdepth 1 -name '2*' -mmin "+$((KEEP_DAYS * 1440))" | sort | while read -r old; do
        # The newest stays, however old it is.
        [ "$old" = "$(find "$BACKUP/base" -mindepth 1 -maxdepth 1 -name '2*' | sort | tail -n 1)" ] || rm -rf "$old"
    done
    oldest=$(find "$BACKUP/base" -mindepth 1 -maxdepth 1 -name '2*' | sort | head -n 1)
    pg_archivecleanup "$BACKUP/wal" "$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\)).*/\1/p' "$oldest/backup_label")"
}

check() {
    local active
    active=$(psql --no-password --no-psqlrc --tuples-only --no-align --dbname "${PGDATABASE:-batua}" \
        --command "SELECT active FROM pg_replication_slots WHERE slot_name = '$SLOT'")
    [ "$active" = t ] || { echo "no one receives the write-ahead log" >&2; exit 1; }
    # A base backup may take its time: it is missed an hour after it was due.
    EVERY_MINUTES=$((EVERY_MINUTES + 60))
    ! is_due || { echo "the last base backup is older than $EVERY_MINUTES minutes" >&2; exit 1; }
}

if [ "${1:-}" = check ]; then
    check
    exit
fi

mkdir -p "$BACKUP/wal" "$BACKUP/base"
pg_receivewal --no-password --directory "$BACKUP/wal" --slot "$SLOT" --create-slot --if-not-exists
pg_receivewal --no-password --directory "$BACKUP/wal" --slot "$SLOT" --synchronous &
receiver=$!
trap 'kill "$receiver"' EXIT
trap 'exit 0' TERM INT
while kill -0 "$receiver"; do
    if is_due && take_base; then
        forget_old
    fi
    sleep 30 &
    wait $! || true
done
echo "the receiver of the write-ahead log has ended" >&2
exit 1
