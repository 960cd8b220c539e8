"""Commits of 1 KiB through LangGraph's SQLite savers, beside `cargo bench --bench store`.

    python3 -m venv /tmp/langgraph
    /tmp/langgraph/bin/pip install langgraph-checkpoint-sqlite==3.1.2
    /tmp/langgraph/bin/python benches/peers/langgraph_sqlite.py [SECONDS] [ROUNDS]

One commit is one `put()` of a checkpoint whose only channel holds 1 KiB, for one of 64 threads. Three callers are
tried: one that commits for all 64 threads in turn, a pool of 64 OS threads on one saver, and 64 asyncio tasks on the
asynchronous saver. The savers leave `synchronous` at SQLite's FULL, which syncs each commit (level *disk*); NORMAL, which
survives the death of the process only (level *process*), is set on their connection here. The folder is `TMPDIR`'s.
"""

import asyncio
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

WRITERS = 64
STATE = b"x" * 1024


def commit(thread, parent):
    """The arguments of the next `put()` of a thread."""
    config = {"configurable": {"thread_id": f"agent-{thread}", "checkpoint_ns": ""}}
    if parent:
        config["configurable"]["checkpoint_id"] = parent
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"notes": STATE}
    checkpoint["channel_versions"] = {"notes": "1"}
    return config, checkpoint, {"source": "loop", "step": 1}, {"notes": "1"}


def put_until(saver, threads, end):
    """Commits for threads in turn; how often."""
    parents = dict.fromkeys(threads)
    puts = 0
    while time.perf_counter() < end:
        for thread in threads:
            parents[thread] = saver.put(*commit(thread, parents[thread]))["configurable"]["checkpoint_id"]
            puts += 1
    return puts


def with_threads(path, level, seconds, workers):
    """Commits a second of so many OS threads, which share the 64 threads of the store."""
    with SqliteSaver.from_conn_string(path) as saver:
        saver.setup()
        saver.conn.execute(f"PRAGMA synchronous = {level}")
        end = time.perf_counter() + seconds
        with ThreadPoolExecutor(workers) as pool:
            parts = [range(first, WRITERS, workers) for first in range(workers)]
            return sum(pool.map(lambda part: put_until(saver, part, end), parts)) / seconds


async def with_tasks(path, level, seconds):
    """Commits a second of 64 asyncio tasks."""
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await saver.setup()
        await saver.conn.execute(f"PRAGMA synchronous = {level}")
        end = time.perf_counter() + seconds

        async def write(thread):
            parent, puts = None, 0
            while time.perf_counter() < end:
                parent = (await saver.aput(*commit(thread, parent)))["configurable"]["checkpoint_id"]
                puts += 1
            return puts

        return sum(await asyncio.gather(*map(write, range(WRITERS)))) / seconds


CALLERS = {
    "one caller for 64 threads": lambda path, level, seconds: with_threads(path, level, seconds, 1),
    "64 OS threads": lambda path, level, seconds: with_threads(path, level, seconds, WRITERS),
    "64 asyncio tasks": lambda path, level, seconds: asyncio.run(with_tasks(path, level, seconds)),
}


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    rates = {(level, caller): [] for level in ("NORMAL", "FULL") for caller in CALLERS}
    for _ in range(rounds):
        for (level, caller), measured in rates.items():
            with tempfile.TemporaryDirectory() as folder:
                measured.append(CALLERS[caller](os.path.join(folder, "saver.db"), level, seconds))
    print(f"median of {rounds} rounds of {seconds} s each, commits of 1 KiB, SQLite {sqlite3.sqlite_version}")
    for (level, caller), measured in rates.items():
        print(f"synchronous = {level:<8}{caller:<28}{statistics.median(measured):>10.0f}/s")


if __name__ == "__main__":
    main()
