"""Commits of 4 KiB through LangGraph's PostgreSQL savers, beside `cargo bench --bench store -- … postgres`.

    python3 -m venv /tmp/langgraph
    /tmp/langgraph/bin/pip install langgraph-checkpoint-postgres==3.2.0 'psycopg[binary,pool]==3.3.9'
    cargo xtask servers -- /tmp/langgraph/bin/python benches/peers/langgraph_postgres.py [SECONDS] [ROUNDS]

One commit is one `put()` of a checkpoint whose only channel holds 4 KiB under a new version, for one of 64 threads. Three
callers are tried: 64 OS threads and 64 asyncio tasks, each over a pool of connections, and 64 asyncio tasks over one
connection in pipeline mode. `synchronous_commit` is what the server has (on). The server is that of
`AGENTSCALE_TEST_POSTGRES_URL`; the tables are in a schema of their own, which is dropped.
"""

import asyncio
import os
import statistics
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

WRITERS = 64
CONNECTIONS = 16
STATE = b"x" * 4096
URL = os.environ["AGENTSCALE_TEST_POSTGRES_URL"]
OPTIONS = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


def commit(thread, parent, turn):
    """The arguments of the next `put()` of a thread."""
    config = {"configurable": {"thread_id": f"agent-{thread}", "checkpoint_ns": ""}}
    if parent:
        config["configurable"]["checkpoint_id"] = parent
    version = f"{turn:032}.0"
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"notes": STATE}
    checkpoint["channel_versions"] = {"notes": version}
    return config, checkpoint, {"source": "loop", "step": turn}, {"notes": version}


def put_until(saver, thread, end):
    parent, turn = None, 0
    while time.perf_counter() < end:
        parent = saver.put(*commit(thread, parent, turn))["configurable"]["checkpoint_id"]
        turn += 1
    return turn


async def aput_until(saver, thread, end):
    parent, turn = None, 0
    while time.perf_counter() < end:
        parent = (await saver.aput(*commit(thread, parent, turn)))["configurable"]["checkpoint_id"]
        turn += 1
    return turn


def with_threads(url, seconds):
    with ConnectionPool(url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=OPTIONS) as connections:
        connections.wait()
        saver = PostgresSaver(connections)
        end = time.perf_counter() + seconds
        with ThreadPoolExecutor(WRITERS) as pool:
            return sum(pool.map(lambda thread: put_until(saver, thread, end), range(WRITERS))) / seconds


async def tasks(saver, seconds):
    end = time.perf_counter() + seconds
    return sum(await asyncio.gather(*(aput_until(saver, thread, end) for thread in range(WRITERS)))) / seconds


async def with_pool(url, seconds):
    pool = AsyncConnectionPool(url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=OPTIONS, open=False)
    async with pool as connections:
        await connections.wait()
        return await tasks(AsyncPostgresSaver(connections), seconds)


async def with_pipeline(url, seconds):
    async with AsyncPostgresSaver.from_conn_string(url, pipeline=True) as saver:
        return await tasks(saver, seconds)


CALLERS = {
    f"64 OS threads, {CONNECTIONS} connections": with_threads,
    f"64 asyncio tasks, {CONNECTIONS} connections": lambda url, seconds: asyncio.run(with_pool(url, seconds)),
    "64 asyncio tasks, one pipeline": lambda url, seconds: asyncio.run(with_pipeline(url, seconds)),
}


def measure(caller, seconds):
    schema = f"langgraph_{uuid.uuid4().hex}"
    url = f"{URL}?options=-csearch_path%3D{schema}"
    with psycopg.connect(URL, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        try:
            with PostgresSaver.from_conn_string(url) as saver:
                saver.setup()
            return caller(url, seconds)
        finally:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates = {caller: [] for caller in CALLERS}
    for _ in range(rounds):
        for caller, measured in rates.items():
            measured.append(measure(CALLERS[caller], seconds))
    print(f"median of {rounds} rounds of {seconds} s each, commits of 4 KiB")
    for caller, measured in rates.items():
        print(f"{caller:<40}{statistics.median(measured):>10.0f}/s")


if __name__ == "__main__":
    main()
