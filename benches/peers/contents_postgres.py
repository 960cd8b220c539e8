"""What it costs PostgreSQL to keep values once for each tenant under their hash, beside keeping them in the rows of commits.

    python3 -m venv /tmp/contents
    /tmp/contents/bin/pip install 'psycopg[binary]==3.3.9'
    cargo xtask servers -- /tmp/contents/bin/python benches/peers/contents_postgres.py [SECONDS] [ROUNDS]

One connection writes commits of 4 KiB for 32 threads by one prepared statement, into tables as the store has them. What is told
of each commit is the processor's time of the server's process, which says the same beside other work, and the bytes of the
write-ahead log. Linux, server and script on one machine. No value is hashed here: a hash is any 32 bytes.

*in rows*: each value is new and stands in its commit's row, as the store keeps it. *by hash*: each is new and stands in a table
of contents. *by hash, uses counted*: with a row for each use, by which retention finds what nobody uses. *by hash, known*: each
thread writes a value that is there already.
"""

import os
import random
import statistics
import sys
import time
import uuid

import psycopg
from psycopg import pq

ROWS = 32
VALUE = 4096
TICKS = os.sysconf("SC_CLK_TCK")

TABLES = """
CREATE TABLE @.threads (tenant text COLLATE "C" NOT NULL, type text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL,
  id bigint NOT NULL UNIQUE, version bigint, tip uuid, base bigint, base_bytes bigint, chain_bytes bigint,
  PRIMARY KEY (tenant, type, key)) WITH (fillfactor = 50);
CREATE TABLE @.checkpoints (tenant text COLLATE "C" NOT NULL, thread bigint NOT NULL, version bigint NOT NULL,
  commit_id uuid NOT NULL, delta bytea NOT NULL, PRIMARY KEY (tenant, thread, version));
ALTER TABLE @.checkpoints ALTER COLUMN delta SET STORAGE EXTERNAL;
CREATE TABLE @.contents (tenant text COLLATE "C" NOT NULL, hash bytea NOT NULL, bytes bytea NOT NULL,
  PRIMARY KEY (tenant, hash));
ALTER TABLE @.contents ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TABLE @.uses (tenant text COLLATE "C" NOT NULL, hash bytea NOT NULL, thread bigint NOT NULL, version bigint NOT NULL,
  PRIMARY KEY (tenant, thread, version, hash));
CREATE INDEX ON @.uses (tenant, hash);
"""

COMMIT = """
WITH i AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::bytea[], $5::bytea[], $6::bytea[])
  AS i(thread, id, delta, hash, value)), {more}
moved AS (UPDATE @.threads t SET version = $4, tip = i.id, base = $4, base_bytes = length(i.delta),
  chain_bytes = length(i.delta) FROM i WHERE t.id = i.thread)
INSERT INTO @.checkpoints (tenant, thread, version, commit_id, delta) SELECT 'acme', thread, $4, id, delta FROM i
"""
KEPT = """kept AS (INSERT INTO @.contents (tenant, hash, bytes) SELECT 'acme', hash, value FROM i
  ON CONFLICT (tenant, hash) DO NOTHING), """
USED = "used AS (INSERT INTO @.uses (tenant, hash, thread, version) SELECT 'acme', hash, thread, $4 FROM i), "

# What is written besides the commit, whether values stand in its row, whether they are new.
WAYS = {
    "in rows": ("", True, True),
    "by hash": (KEPT, False, True),
    "by hash, uses counted": (KEPT + USED, False, True),
    "by hash, known": (KEPT, False, False),
}


def array(values):
    return ("{" + ",".join(f'"{value}"' for value in values) + "}").encode()


def hexed(bytes_):
    return "\\\\x" + bytes_.hex()


def arguments(turn, in_rows, is_new):
    threads = range(1, ROWS + 1)
    value = lambda: hexed(random.randbytes(16) + b"x" * (VALUE - 16))
    delta = value if in_rows else lambda: hexed(b"x" * 45)
    hash_of = lambda thread: hexed(random.randbytes(32) if is_new else thread.to_bytes(32))
    stored = lambda thread: hexed(b"") if in_rows else value()
    return [
        array(threads),
        array(uuid.uuid4() for _ in threads),
        array(delta() for _ in threads),
        str(turn).encode(),
        array(hash_of(thread) if not in_rows else hexed(b"") for thread in threads),
        array(stored(thread) for thread in threads),
    ]


def processor(process):
    with open(f"/proc/{process}/stat", encoding="ascii") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / TICKS


def measure(connection, way, seconds):
    """Microseconds of the server's process and bytes of the log, of one commit."""
    more, in_rows, is_new = WAYS[way]
    schema = f"contents_{uuid.uuid4().hex}"
    connection.execute(f"CREATE SCHEMA {schema}")
    try:
        connection.execute(TABLES.replace("@", schema))
        connection.execute(f"INSERT INTO {schema}.threads SELECT 'acme', 'bench', n, n FROM generate_series(1, {ROWS}) n")
        connection.pgconn.prepare(b"commit", COMMIT.format(more=more).replace("@", schema).encode())
        log = connection.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        process = connection.info.backend_pid
        before, end, turn = processor(process), time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            turn += 1
            result = connection.pgconn.exec_prepared(b"commit", arguments(turn, in_rows, is_new))
            assert result.status == pq.ExecStatus.COMMAND_OK, result.error_message
        spent = processor(process) - before
        bytes_ = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", (log,)).fetchone()[0]
        return spent * 1e6 / (turn * ROWS), float(bytes_) / (turn * ROWS)
    finally:
        connection.pgconn.exec_(b"DEALLOCATE ALL")
        connection.execute(f"DROP SCHEMA {schema} CASCADE")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    measured = {way: [] for way in WAYS}
    with psycopg.connect(os.environ["AGENTSCALE_TEST_POSTGRES_URL"], autocommit=True, prepare_threshold=None) as connection:
        for setting in ("jit = off", "plan_cache_mode = force_generic_plan", "enable_seqscan = off", "synchronous_commit = off"):
            connection.execute(f"SET {setting}")
        for _ in range(rounds):
            for way, found in measured.items():
                found.append(measure(connection, way, seconds))
    print(f"median of {rounds} rounds of {seconds} s each, commits of 4 KiB, {ROWS} a statement")
    for way, found in measured.items():
        micros, bytes_ = (statistics.median(column) for column in zip(*found))
        print(f"{way:<28}{micros:>8.0f} us of the server a commit{bytes_:>8.0f} bytes of log")


if __name__ == "__main__":
    main()
