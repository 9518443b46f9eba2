"""A made-up memory, so that what is measured can be checked by eye."""

from dataclasses import dataclass

import pytest

from molft.train import budget, ways


@dataclass
class Meter:
    """100 bytes are held; work brings the peak up by what it takes."""

    held: int = 100
    top: int = 100

    def take(self, size: float) -> None:
        self.top = max(self.top, self.held + int(size))


def use_meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Let budgets measure by a made-up memory."""
    meter = Meter()

    def forget(device: object) -> None:
        meter.top = meter.held

    for module in (budget, ways):
        monkeypatch.setattr(module, "used", lambda device: meter.held)
    monkeypatch.setattr(budget, "peak", lambda device: meter.top)
    monkeypatch.setattr(budget, "forget_peak", forget)
    monkeypatch.setattr(budget, "keep_within", lambda device, size: None)
    monkeypatch.setattr(budget, "give_back", lambda device: None)
    monkeypatch.setattr(ways, "_KERNELS", 0)
    return meter
