from __future__ import annotations

from collections.abc import Iterator

import pytest
from fakes.scene import Scene, staged
from loopback import free_port


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with staged(tmp_path_factory.mktemp("scene"), free_port()) as made:
        yield made
