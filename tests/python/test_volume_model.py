"""The volume models of the DSL."""

import pytest

from mite.scenario import StopVolumeModel
from mite.volume_model import Constant, Nothing, Ramp, oneshot_vm


def windows(model, seconds):
    return [model(start, start + 1) for start in range(seconds)]


def test_constant():
    model = Constant(3, 5)
    assert windows(model, 3) == [5, 5, 5]
    with pytest.raises(StopVolumeModel):
        model(4, 5)


def test_nothing():
    assert windows(Nothing(2), 2) == [0, 0]


def test_arguments_have_names():
    assert (Nothing(duration=1) + Constant(duration=2, tps=3))(1, 2) == 3
    assert Constant(1, 2)(start=0, end=1) == 2


def test_a_sum_runs_one_after_another():
    model = Nothing(1) + Constant(1, 2) + Constant(1, 7)
    assert windows(model, 3) == [0, 2, 7]
    with pytest.raises(StopVolumeModel):
        model(4, 5)


def test_a_ramp_takes_its_ends_from_its_neighbours():
    model = Constant(10, 0) + Ramp(10) + Constant(10, 10)
    between = [model(start, start + 1) for start in range(10, 20)]
    assert between == sorted(between)
    assert 0 <= between[0] <= 2
    assert 8 <= between[-1] <= 10


def test_ramps_at_the_ends():
    up = Ramp(10, frm=0) + Constant(5, 10)
    down = Constant(5, 10) + Ramp(10, to=0)
    assert up(0, 1) <= 2
    assert down(14, 15) <= 2


@pytest.mark.parametrize(
    "model",
    [
        Ramp(10),
        Ramp(10, to=5),
        Ramp(10, frm=5),
        Ramp(10) + Constant(1, 1),
        Constant(1, 1) + Ramp(10),
        Constant(1, 1) + Ramp(10, frm=3),
        Ramp(10, frm=1, to=3) + Constant(1, 1),
    ],
)
def test_ends_that_do_not_fit_are_told_at_the_first_call(model):
    with pytest.raises(ValueError):
        model(0, 1)


def test_a_part_can_be_used_by_itself_and_in_a_sum():
    constant = Constant(1, 3)
    assert constant(0, 1) == 3
    assert (Ramp(1, frm=0) + constant)(1, 2) == 3
    assert constant(0, 1) == 3


def test_only_models_can_be_added():
    with pytest.raises(TypeError):
        Constant(1, 1) + 3


@pytest.mark.parametrize("make", [lambda: Constant(1), lambda: Ramp(), lambda: Constant("1", 1), lambda: Ramp(1, "x")])
def test_wrong_arguments(make):
    with pytest.raises(TypeError):
        make()


def test_oneshot():
    model = oneshot_vm()
    assert model(0, 1) == 1
    with pytest.raises(StopVolumeModel):
        model(1, 2)


def test_oneshot_later():
    model = oneshot_vm(when=2, stop_scenario=True)
    assert windows(model, 3) == [0, 0, 1]
    with pytest.raises(StopVolumeModel):
        model(3, 4)
