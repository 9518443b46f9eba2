"""SIGTERM asks a run to stop; nothing is killed, and the handler from before comes back."""

import os
import signal
import threading

import pytest

from molft.train.interruption import catch_sigterm


def test_a_signal_is_remembered_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with catch_sigterm() as interruption:
        assert not interruption.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_brings_the_old_handler_back_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RuntimeError, match="inside"), catch_sigterm():
        raise RuntimeError("inside")
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_than_the_main_one_changes_nothing() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with catch_sigterm() as interruption:
            seen.append((signal.getsignal(signal.SIGTERM), interruption.asked))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
