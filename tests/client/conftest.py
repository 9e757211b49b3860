"""A service on fakes, and both clients behind one blocking face, so that every test runs on both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.client import AsyncClient, AsyncRunHandle, Client
from tests.service.fakes import TOKEN, Service, served


class Blocking:
    """Drives an asynchronous client or handle from a test that does not await."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner, self._runner = inner, runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._settle(value(*args, **kwargs))

        return call

    def _settle(self, result: Any) -> Any:
        if inspect.isawaitable(result):
            result = self._runner.run(_await(result))
        elif inspect.isasyncgen(result):
            return self._drain(result)
        return Blocking(result, self._runner) if isinstance(result, AsyncRunHandle) else result

    def _drain(self, items: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._runner.run(_await(anext(items)))
            except StopAsyncIteration:
                return


async def _await(result: Any) -> Any:
    return await result


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with served(service) as url:
        yield url


@pytest.fixture(params=["blocking", "asyncio"])
def make(request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[Any] = []
    with asyncio.Runner() as runner:

        def maker(**options: Any) -> Any:
            if request.param == "blocking":
                client: Any = Client(**options)
            else:
                client = Blocking(AsyncClient(**options), runner)
            made.append(client)
            return client

        yield maker
        for client in made:
            client.close()


@pytest.fixture
def client(make: Any, url: str) -> Any:
    return make(url=url, token=TOKEN)
