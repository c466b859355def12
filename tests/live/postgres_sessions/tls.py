"""TLS and protocol versions by libpq: PORT DATABASE. A server that takes TLS only."""

import sys

import psycopg
from psycopg import pq

port, database = sys.argv[1:3]
login = dict(host="127.0.0.1", port=port, user="app", password="app", dbname=database)


def works(**more):
    with psycopg.connect(**login, **more) as connection:
        assert connection.pgconn.ssl_in_use, more
        assert connection.execute("SELECT %s::int + 1", (4,)).fetchone() == (5,)
        assert len(connection.execute("SELECT repeat('x', 3000000)").fetchone()[0]) == 3000000
        connection.cancel()


works(sslmode="require")
works()
try:
    psycopg.connect(**login, sslmode="disable")
    raise AssertionError("a client without TLS is served")
except psycopg.OperationalError as error:
    assert "TLS" in str(error), error
if pq.version() >= 170000:
    works(sslmode="require", sslnegotiation="direct")
if pq.version() >= 180000:
    for version in ("3.0", "3.2", "latest"):
        works(sslmode="require", max_protocol_version=version)
print("libpq", pq.version())
print("good")
