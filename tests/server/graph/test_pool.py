from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from rdflib import Graph, Literal, URIRef
from sagitta_compiler.ontology import SparqlError
from sagitta_server.graph import SparqlPool, SparqlTimeoutError

COUNT = "SELECT (COUNT(*) AS ?n) WHERE {?a ?b ?c}"
ENDLESS = [
    "SELECT * {" + " ".join(f"?a{n} ?b{n} ?c{n} ." for n in range(8)) + " FILTER(?a0 = <x:none>)}",
    "SELECT ?x {BIND(REGEX('" + "a" * 40 + "!', '^(a+)+$') AS ?x)}",
]


def graph(size: int) -> Graph:
    result = Graph()
    for number in range(size):
        result.add((URIRef(f"x:{number}"), URIRef("x:is"), Literal(number)))
    return result


@pytest.fixture
def pool() -> Iterator[SparqlPool]:
    opened = SparqlPool(timeout_seconds=20, max_rows=10, workers=1)
    yield opened
    opened.close()


def test_each_graph_is_sent_once_and_answers_for_itself(pool: SparqlPool) -> None:
    made: list[int] = []

    def make(size: int) -> Graph:
        made.append(size)
        return graph(size)

    for _ in range(2):
        for size in (3, 4):
            assert pool.query(f"g{size}", lambda size=size: make(size), COUNT).rows == ({"n": str(size)},)
    assert made == [3, 4]


def test_a_process_forgets_the_graph_that_was_not_asked_for_longest(pool: SparqlPool) -> None:
    for size in (*range(1, 19), 1, 2, 18):
        assert pool.query(f"g{size}", lambda size=size: graph(size), COUNT).rows == ({"n": str(size)},)


@pytest.mark.parametrize("text", ENDLESS, ids=["product", "regular expression"])
def test_an_endless_question_is_stopped_and_the_next_one_answered(text: str) -> None:
    pool = SparqlPool(timeout_seconds=1, max_rows=10, workers=1)
    try:
        pool.query("g", lambda: graph(50), "ASK {}")
        started = time.monotonic()
        with pytest.raises(SparqlTimeoutError, match="stopped after 1 seconds"):
            pool.query("g", lambda: graph(50), text)
        assert time.monotonic() - started < 30
        assert pool.query("g", lambda: graph(50), COUNT).rows == ({"n": "50"},)
    finally:
        pool.close()


def test_a_question_that_eats_memory_is_an_error(pool: SparqlPool) -> None:
    doubling = " ".join(f"BIND(CONCAT(?x{n}, ?x{n}) AS ?x{n + 1})" for n in range(34))
    with pytest.raises(SparqlError, match="too much memory"):
        pool.query("g", lambda: graph(1), f"SELECT ?x34 {{BIND('aaaaaaaa' AS ?x0) {doubling}}}")
    assert pool.query("g", lambda: graph(1), COUNT).rows == ({"n": "1"},)


def test_rows_are_capped_and_the_answer_says_so(pool: SparqlPool) -> None:
    capped = pool.query("g", lambda: graph(11), "SELECT ?a {?a ?b ?c}")
    assert (len(capped.rows), capped.truncated) == (10, True)
    whole = pool.query("h", lambda: graph(10), "SELECT ?a {?a ?b ?c}")
    assert (len(whole.rows), whole.truncated) == (10, False)


def test_a_mistake_is_reported_with_its_place(pool: SparqlPool) -> None:
    with pytest.raises(SparqlError, match="line:1"):
        pool.query("g", lambda: graph(1), "SELECT WHERE")
    with pytest.raises(SparqlError, match="SERVICE is not allowed"):
        pool.query("g", lambda: graph(1), "SELECT * {SERVICE <http://127.0.0.1:1/> {?a ?b ?c}}")


def test_many_threads_share_few_processes() -> None:
    pool = SparqlPool(timeout_seconds=30, max_rows=10, workers=2)
    answers: list[object] = []

    def ask(number: int) -> None:
        size = number % 3 + 1
        answers.append(pool.query(f"g{size}", lambda: graph(size), COUNT).rows == ({"n": str(size)},))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.close()
    assert answers == [True] * 12


def test_a_process_whose_server_was_killed_ends_by_itself() -> None:
    """An endless question must not outlive the engine that asked it."""
    script = f"""
import threading
from rdflib import Graph
from sagitta_server.graph import SparqlPool
pool = SparqlPool(timeout_seconds=1, max_rows=1, workers=1)
pool.query("g", Graph, "ASK {{}}")
(worker,) = pool._slots.queue
threading.Thread(target=pool.query, args=("g", Graph, {ENDLESS[1]!r}), daemon=True).start()
print(worker._process.pid, flush=True)
threading.Event().wait()
"""
    engine = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    worker = int(engine.stdout.readline())
    time.sleep(0.3)
    engine.send_signal(signal.SIGKILL)
    engine.communicate()
    deadline = time.monotonic() + 60
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(worker)


def running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
