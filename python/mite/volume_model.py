"""Volume models: how many instances of a journey run at once in a window, which is given in seconds since the start."""

from __future__ import annotations

from _mite import Constant, Nothing, Ramp, VolumeModel

from .exceptions import StopVolumeModel

__all__ = ["Constant", "Nothing", "Ramp", "StopVolumeModel", "VolumeModel", "oneshot_vm"]


class oneshot_vm:
    """Runs its journey once, in the window that holds the second `when` (-1: at once), and stops.

    With `stop_scenario` the whole scenario ends with it.
    """

    def __init__(self, when: int = -1, stop_scenario: bool = False) -> None:
        self._when = max(when, 0)
        self._fired = False
        # What the engine reads of a volume model that is not its own.
        self._mite_duration = self._when + 1
        self._mite_max_starts = 1
        self._mite_stops_scenario = int(stop_scenario)

    def __call__(self, start: float, end: float) -> int:
        if self._fired:
            raise StopVolumeModel("the one journey has been started")
        self._fired = end > self._when
        return int(self._fired)
