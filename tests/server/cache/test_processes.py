"""Two processes on one directory, one of them killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from sagitta_server.cache import CacheSettings, HeartbeatStore
from sagitta_server.cache.file_cache import FileCache
from sagitta_server.state.database import Database

from .conftest import Statement, answer, numbers, request

CHILD = textwrap.dedent("""
    import sys, itertools
    from pathlib import Path
    import pyarrow as pa
    from sagitta_compiler.model.resolved import Refresh
    from sagitta_server.cache import CacheRequest, CacheSettings, HeartbeatStore
    from sagitta_server.cache.file_cache import FileCache
    from sagitta_server.execution.cancel import CancelToken
    from sagitta_server.execution.stream import ResultStream
    from sagitta_server.state.database import open_database

    home, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    state = open_database(f"sqlite:///{home / 'state.sqlite'}")
    cache = FileCache(CacheSettings(backend="file"), home / "cache", HeartbeatStore(state))
    contracts = {"db.s.orders": Refresh("interval", interval_seconds=3600)}
    for number in itertools.islice(itertools.count(first), count):
        wanted = CacheRequest("main", "m1", "duckdb", f"SELECT {number}", ("db.s.orders",), contracts)
        table = pa.table({"a": pa.array(range(number, number + 1000), pa.int64())})
        lookup = cache.lookup(wanted)
        if lookup.hit:
            assert lookup.hit.stream.reader.read_all() == table
        else:
            token = CancelToken()
            stream = ResultStream(
                table.schema, table.to_reader(), token.cancel, token.finish, native=True, token=token
            )
            cache.store(lookup, stream).reader.read_all()
        print(number, flush=True)
    cache.close()
""")


def child(home: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(home), str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_write_and_read_the_same_results(tmp_path: Path, state: Database) -> None:
    children = [child(tmp_path, 0, 40), child(tmp_path, 20, 40)]
    for process in children:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    cache = FileCache(CacheSettings(backend="file"), tmp_path / "cache", HeartbeatStore(state))
    try:
        assert cache.stats().entry_count == 60
        for number in range(60):
            lookup, rows = answer(cache, request(f"SELECT {number}"), Statement(numbers(0)))
            assert lookup.hit is not None
            assert rows == numbers(1000, number)
        files = {str(path.relative_to(cache._results)) for path in cache._results.glob("*/*")}
        assert files == cache._index.files()
    finally:
        cache.close()


def test_a_killed_process_leaves_a_usable_cache(tmp_path: Path, state: Database) -> None:
    process = child(tmp_path, 0, 1_000_000)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) > 200:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    cache = FileCache(CacheSettings(backend="file"), tmp_path / "cache", HeartbeatStore(state))
    try:
        assert cache.stats().entry_count >= 1
        for number in range(200):
            _, rows = answer(cache, request(f"SELECT {number}"), Statement(numbers(1000, number)))
            assert rows == numbers(1000, number)
    finally:
        cache.close()
