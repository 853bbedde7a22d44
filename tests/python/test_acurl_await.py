"""The awaitable of a request behaves like a coroutine, and nothing of it is left behind."""

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import Coroutine

import acurl
import pytest
from acurl_fixtures import Run, run, web  # noqa: F401
from web import Server


def test_looks_like_a_coroutine(run: Run, web: Server) -> None:
    async def main(session):
        request = session.get(web.url)
        assert asyncio.iscoroutine(request) and isinstance(request, Coroutine)
        assert repr(request) == f"<request GET {web.url}, not awaited>"
        task = asyncio.create_task(request)
        await asyncio.sleep(0)
        assert repr(request) == f"<request GET {web.url}, under way>" and "GET" in repr(task)
        assert (await task).status_code == 200
        assert repr(request) == f"<request GET {web.url}, over>"
        with pytest.raises(RuntimeError, match="cannot reuse already awaited request"):
            await request

    run(main)


def test_nothing_is_sent_before_it_is_awaited(run: Run, web: Server) -> None:
    async def main(session):
        with pytest.warns(RuntimeWarning, match="^GET request was never awaited$") as caught:
            session.get(f"{web.url}/never")
        assert [warning.filename for warning in caught] == [__file__]
        session.get(f"{web.url}/closed").close()
        await session.get(f"{web.url}/sent")

    run(main)
    assert web.seen == ["GET /sent"]


def test_gather(run: Run, web: Server) -> None:
    async def main(session):
        responses = await asyncio.gather(*[session.get(f"{web.url}/{n}") for n in range(50)])
        assert [response.url for response in responses] == [f"{web.url}/{n}" for n in range(50)]

    run(main)
    assert Counter(web.seen) == Counter(f"GET /{n}" for n in range(50))


def test_gather_of_many_sessions(run: Run, web: Server) -> None:
    async def main(session):
        wrapper = acurl.CurlWrapper(asyncio.get_running_loop())
        sessions = [wrapper.session() for _ in range(30)]
        await asyncio.gather(*[each.get(f"{web.url}/cookies?n={n}") for n, each in enumerate(sessions)])
        assert [each.cookies() for each in sessions] == [{"n": str(n)} for n in range(30)]

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups are new in 3.11")
def test_task_group(run: Run, web: Server) -> None:
    async def main(session):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(session.get(web.url)) for _ in range(5)]
        assert [task.result().status_code for task in tasks] == [200] * 5
        with pytest.raises(ExceptionGroup) as caught:  # noqa: F821
            async with asyncio.TaskGroup() as group:
                stalled = group.create_task(session.get(f"{web.url}/stall"))
                group.create_task(session.get("http://nowhere.invalid/"))
        assert caught.group_contains(acurl.AcurlError) if hasattr(caught, "group_contains") else True
        assert stalled.cancelled()

    run(main)


def test_wait_for_cancels_what_is_under_way(run: Run, web: Server) -> None:
    async def main(session):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(session.get(f"{web.url}/stall"), 0.05)
        assert (await asyncio.wait_for(session.get(web.url), 30)).status_code == 200

    run(main)


def test_cancelled_task(run: Run, web: Server) -> None:
    async def journey(session):
        try:
            await session.get(f"{web.url}/stall")
        finally:
            journey.cleaned_up = (await session.get(f"{web.url}/cleanup")).status_code

    async def main(session):
        task = asyncio.create_task(journey(session))
        await asyncio.get_running_loop().run_in_executor(None, web.stalled.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert journey.cleaned_up == 200


def test_cancelled_before_the_first_step(run: Run, web: Server) -> None:
    async def main(session):
        task = asyncio.create_task(session.get(web.url))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert web.seen == []


def test_driven_by_hand(run: Run, web: Server) -> None:
    async def main(session):
        request = session.get(web.url)
        future = request.send(None)
        assert isinstance(future, asyncio.Future)
        with pytest.raises(RuntimeError, match="before its future was done"):
            request.send(None)
        future._asyncio_future_blocking = False  # taken by hand, as a task would
        await future
        with pytest.raises(StopIteration) as stop:
            request.send(None)
        assert stop.value.value.status_code == 200
        with pytest.raises(KeyError):
            session.get(web.url).throw(KeyError("a"))
        with pytest.raises(KeyError):
            session.get(web.url).throw(KeyError, "a", None)
        with pytest.raises(TypeError):
            session.get(web.url).throw(3)
        return request

    assert run(main).close() is None


def test_close_cancels(run: Run, web: Server) -> None:
    async def main(session):
        request = session.get(f"{web.url}/stall")
        request.send(None)
        request.close()
        with pytest.raises(RuntimeError, match="cannot reuse"):
            request.send(None)

    run(main)


def test_a_task_that_nobody_holds_is_not_collected(run: Run, web: Server) -> None:
    async def main(session):
        done = asyncio.Event()

        async def journey():
            await session.get(f"{web.url}/stall")
            done.set()

        asyncio.create_task(journey())
        await asyncio.get_running_loop().run_in_executor(None, web.stalled.wait)
        gc.collect()
        web.go_on.set()
        await asyncio.wait_for(done.wait(), 30)

    run(main)


def test_loop_that_ends_with_a_request_under_way(run: Run, web: Server) -> None:
    """The next loop gets a client of its own, the old session a new jar."""

    async def leave(session):
        asyncio.ensure_future(session.get(f"{web.url}/stall"))
        await asyncio.get_running_loop().run_in_executor(None, web.stalled.wait)

    async def main(session):
        return (await session.get(web.url)).status_code

    run(leave)
    assert run(main) == 200


def test_traceback_is_the_users(run: Run) -> None:
    async def main(session):
        await session.get("http://nowhere.invalid/")

    with pytest.raises(acurl.AcurlError) as caught:
        run(main)
    assert str(caught.traceback[-1].path) == __file__


def test_callback(run: Run, web: Server) -> None:
    """A plain session calls back with the response, and with the metrics if the function takes them."""
    calls = []

    async def main(session):
        session.set_response_callback(lambda response: calls.append(response))
        response = await session.get(f"{web.url}/redirect/1")
        assert [call.status_code for call in calls] == [302, 200] and calls[1] is response
        session.set_response_callback(lambda response, additional_metrics: calls.append(additional_metrics))
        await session.get(web.url)
        assert calls[2] == {} and calls[2] is session.additional_metrics
        session.set_response_callback(None)
        await session.get(web.url)
        assert len(calls) == 3
        session.set_response_callback(lambda response: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await session.get(web.url)
        with pytest.raises(ValueError, match="callback"):
            session.set_response_callback(3)

    run(main)


def resident_kb() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4


def test_nothing_leaks(run: Run, web: Server) -> None:
    """Requests of every outcome, round after round: objects and memory stay where they were."""
    with Server() as gone:
        refused = gone.url

    async def round_of_all(session):
        url = f"{web.url}/redirect/2"
        response = await session.get(url, headers={"A": "b"}, cookies={"c": "d"}, auth=("e", "f"))
        assert response.text and response.headers and response.history[0].request.to_curl() and response.cookies
        assert len(response.headers_tuple) and response.request.headers and response.history is response.history
        await session.post(f"{web.url}/echo", json={"a": "b" * 1000})
        with pytest.raises(acurl.RequestError):
            await session.get(url, max_redirects=1)
        with pytest.raises(acurl.AcurlError):
            await session.get(refused)
        with pytest.raises(acurl.AcurlError):
            await session.get("no url")
        with pytest.raises(ValueError):
            session.get(web.url, headers={"A": 1})
        task = asyncio.ensure_future(session.get(f"{web.url}/stall"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.warns(RuntimeWarning):
            session.get(web.url)

    async def main(session):
        web.go_on.set()
        wrapper = acurl.CurlWrapper(asyncio.get_running_loop())
        for _ in range(40):
            await round_of_all(wrapper.session())
        gc.collect()
        objects, references, memory = len(gc.get_objects()), sys.getrefcount(web.url), resident_kb()
        for _ in range(160):
            await round_of_all(wrapper.session())
        gc.collect()
        assert len(gc.get_objects()) - objects < 100
        assert sys.getrefcount(web.url) - references < 20
        web.seen.clear()
        if "PYTHONMALLOC" not in os.environ:  # sanitizers keep freed memory back
            assert resident_kb() - memory < 3000

    run(main)
