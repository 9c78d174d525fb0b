"""The console, as a person sees and uses it: the real server over a real PKG, in a real browser."""

import pytest

pytest.register_assert_rewrite("tests.browser.looking")
