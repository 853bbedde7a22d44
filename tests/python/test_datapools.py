"""Datapools as their users call them."""

import asyncio

import msgpack
import pytest

from mite.datapools import (
    DataPoolExhausted,
    DataPoolItem,
    IterableDataPool,
    RecyclableIterableDataPool,
    SingleRunDataPool,
    SingleRunDataPoolWrapper,
    iterable_datapool,
    recorded,
    recyclable_iterable_datapool,
)


def take(pool, *args):
    async def checkout():
        return await pool.checkout(*args)

    return asyncio.run(checkout())


def give(pool, id):
    async def checkin():
        return await pool.checkin(id)

    return asyncio.run(checkin())


def pair(item):
    return (item.id, item.data)


def test_recyclable_ids_begin_at_0_first_in_first_out():
    pool = RecyclableIterableDataPool([("a",), ("b",), ("c",)])
    assert [pair(take(pool)) for _ in range(3)] == [(0, ("a",)), (1, ("b",)), (2, ("c",))]
    give(pool, 1)
    give(pool, 0)
    assert [take(pool).id, take(pool).id] == [1, 0]


def test_recyclable_with_nothing_free():
    pool = RecyclableIterableDataPool([("a",)])
    take(pool)
    with pytest.raises(Exception, match="^Recyclable iterable datapool was emptied!$"):
        take(pool)
    give(pool, 0)
    assert take(pool).data == ("a",)


def test_recyclable_checkin_of_what_is_not_out():
    pool = RecyclableIterableDataPool([("a",)])
    for id in (0, 1, -1):
        with pytest.raises(ValueError, match=f"no item with id {id} is checked out"):
            give(pool, id)


def test_an_empty_recyclable_pool():
    with pytest.raises(Exception, match="was emptied"):
        take(RecyclableIterableDataPool([]))


def test_iterable_ids_begin_at_1_each_item_once():
    pool = IterableDataPool(("a", "b"))
    assert pair(take(pool)) == (1, "a")
    give(pool, 1)
    assert pair(take(pool)) == (2, "b")
    for _ in range(2):
        with pytest.raises(DataPoolExhausted):
            take(pool)


def test_an_iterable_pool_reads_as_it_goes():
    read = []

    def endless():
        while True:
            read.append(1)
            yield (len(read),)

    pool = IterableDataPool(endless())
    assert take(pool).data == (1,)
    assert len(read) == 1


def test_an_iterable_that_raises():
    def broken():
        yield (1,)
        raise OSError("gone")

    pool = IterableDataPool(broken())
    take(pool)
    with pytest.raises(OSError, match="gone"):
        take(pool)


def test_checkout_takes_a_config():
    pool = IterableDataPool([(1,), (2,)])
    assert take(pool, {}).id == 1

    async def by_name():
        return await pool.checkout(config={})

    assert asyncio.run(by_name()).id == 2


def test_checkout_runs_where_asyncio_wants_a_coroutine():
    assert asyncio.run(IterableDataPool([(1, 2)]).checkout()).data == (1, 2)


@pytest.mark.parametrize("kind", [RecyclableIterableDataPool, IterableDataPool])
def test_pools_want_an_iterable(kind):
    with pytest.raises(TypeError, match="not iterable"):
        kind(3)


def test_subclasses_have_their_own_init():
    class Users(RecyclableIterableDataPool):
        def __init__(self, *names):
            super().__init__([(name,) for name in names])

    assert take(Users("ann", "bob")).data == ("ann",)


def test_single_run():
    pool = SingleRunDataPool("x")
    assert pair(take(pool)) == (1, ("x",))
    with pytest.raises(DataPoolExhausted):
        take(pool)


def test_single_run_wrapper():
    inner = RecyclableIterableDataPool([("a",), ("b",)])
    pool = SingleRunDataPoolWrapper(inner)
    assert pair(take(pool, None)) == (0, ("a",))
    give(pool, 0)
    with pytest.raises(DataPoolExhausted):
        take(pool, None)
    assert take(inner).id == 1


def test_single_run_wrapper_of_a_plain_pool():
    class Plain:
        returned = []

        def checkout(self):
            return DataPoolItem("id", (1,))

        def checkin(self, id):
            self.returned.append(id)

    pool = SingleRunDataPoolWrapper(Plain())
    assert take(pool).data == (1,)
    give(pool, "id")
    assert Plain.returned == ["id"]


def test_items():
    item = DataPoolItem(3, ("a", "b"))
    assert (item.id, item.data) == (3, ("a", "b"))
    assert item == DataPoolItem(id=3, data=("a", "b"))
    assert item != DataPoolItem(4, ("a", "b"))
    assert repr(item) == "DataPoolItem(id=3, data=('a', 'b'))"
    id, data = item
    assert (id, data) == (3, ("a", "b"))


def test_decorators():
    @iterable_datapool
    def once(n):
        return ((i,) for i in range(n))

    @recyclable_iterable_datapool
    def again():
        return [("x",)]

    assert pair(take(once(1))) == (1, (0,))
    assert pair(take(again())) == (0, ("x",))
    assert once.__name__ == "once"


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(directory, *rows):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "users.msgpack").write_bytes(b"".join(map(msgpack.packb, rows)))

    return write


def test_recorded_is_read_at_the_first_checkout(records):
    pool = recorded("users", "username", "age")
    records("recorder_data", {"username": "ann", "age": 3}, {"age": 4, "username": "bob"})
    assert pair(take(pool)) == (0, ("ann", 3))
    assert pair(take(pool)) == (1, ("bob", 4))
    give(pool, 0)
    assert take(pool).id == 0


def test_recorded_with_the_older_directory(records):
    records("recorder-data", {"username": "ann"})
    assert take(recorded("users", "username")).data == ("ann",)


def test_recorded_with_a_field_that_is_missing(records):
    records("recorder_data", {"username": "ann"})
    with pytest.raises(KeyError, match="record 1 of recorder_data/users.msgpack has no 'age', only 'username'"):
        take(recorded("users", "age"))


def test_recorded_before_anything_was():
    with pytest.raises(FileNotFoundError, match="nothing is recorded here yet, run the scenario that creates it first"):
        take(recorded("nobody", "username"))


def test_recorded_wants_fields():
    with pytest.raises(ValueError, match="names of the fields"):
        recorded("users")
