"""One suite over every way to have a PKG: opened here, beside its owner, by socket, by HTTP, and by asyncio."""

import pytest

pytest.register_assert_rewrite("tests.faces.suite")
