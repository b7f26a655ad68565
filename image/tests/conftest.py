from __future__ import annotations

from collections.abc import Iterator

import pytest
from reference import Reference


@pytest.fixture(scope="session")
def reference() -> Iterator[Reference]:
    runner = Reference()
    yield runner
    runner.close()
