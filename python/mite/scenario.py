"""Scenarios: functions that return triplets (journey spec, datapool or None, volume model)."""

from .exceptions import StopVolumeModel

__all__ = ["StopVolumeModel"]
