from .exceptions import StopVolumeModel as StopVolumeModel

class VolumeModel:
    """Stretches of Nothing, Constant and Ramp, joined with +."""

    def __call__(self, start: float, end: float) -> int:
        """The number of journeys to run at once in the window. StopVolumeModel when it is over."""
    def __add__(self, other: VolumeModel) -> VolumeModel: ...

class Nothing(VolumeModel):
    """No journeys for so many seconds."""

    def __init__(self, duration: float) -> None: ...

class Constant(VolumeModel):
    """So many journeys at once for so many seconds."""

    def __init__(self, duration: float, tps: float) -> None: ...

class Ramp(VolumeModel):
    """From one number of journeys to another within so many seconds.

    The ends come from the neighbours; `frm` is for a first stretch, `to` for a last one.
    """

    def __init__(self, duration: float, to: float | None = None, frm: float | None = None) -> None: ...

class oneshot_vm:
    """Runs its journey once, in the window that holds the second `when` (-1: at once), and stops.

    With `stop_scenario` the whole scenario ends with it.
    """

    def __init__(self, when: int = -1, stop_scenario: bool = False) -> None: ...
    def __call__(self, start: float, end: float) -> int: ...
