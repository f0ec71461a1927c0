#!/bin/bash
# As docker-entrypoint.sh of the official image, as far as compose.yaml asks for it.
set -Eeo pipefail
bin=/usr/lib/postgresql/15/bin
if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" && chmod 00700 "$PGDATA"
	mkdir -p /var/run/postgresql && chmod 03775 /var/run/postgresql
	find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
	find /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$BASH_SOURCE" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	$bin/initdb --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" -D "$PGDATA" --auth-host=scram-sha-256
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	$bin/pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
	$bin/psql --username "$POSTGRES_USER" --dbname postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
	$bin/pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec $bin/postgres -c listen_addresses='*' "$@"
