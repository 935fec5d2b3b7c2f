"""The garbage collector is off while models are compiled, and on again afterwards."""

from __future__ import annotations

import gc
import threading

import pytest
from sagitta_server.models.collector import collector_paused


def test_the_collector_is_on_again_after_the_last_of_several() -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with collector_paused():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=work)
    with collector_paused():
        thread.start()
        inside.wait(5)
        assert not gc.isenabled()
    assert not gc.isenabled()
    leave.set()
    thread.join()
    assert gc.isenabled()


def test_the_collector_is_on_again_after_a_failure() -> None:
    with pytest.raises(RuntimeError), collector_paused():
        raise RuntimeError
    assert gc.isenabled()
