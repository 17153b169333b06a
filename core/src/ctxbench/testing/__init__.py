"""Contract tests for plugins: subclass one in your tests and override its fixture.

Example::

    import pytest
    from ctxbench.testing import CodecContract

    class TestMyCodec(CodecContract):
        @pytest.fixture
        def codec(self):
            return MyCodec()

Needs the extra ``testing`` (pytest).
"""

import pytest

pytest.register_assert_rewrite("ctxbench.testing.codec", "ctxbench.testing.elsewhere", "ctxbench.testing.others")

from ctxbench.testing.codec import HOSTILE, CodecContract  # noqa: E402
from ctxbench.testing.contract import Contract  # noqa: E402
from ctxbench.testing.others import AugmenterContract, MetricContract, TaskContract  # noqa: E402

__all__ = ["HOSTILE", "AugmenterContract", "CodecContract", "Contract", "MetricContract", "TaskContract"]
