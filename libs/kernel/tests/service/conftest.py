"""What tests of a service's frame share."""

from __future__ import annotations

import logging

import pytest
import structlog
from structlog.testing import capture_logs


@pytest.fixture
def told():
    """What is logged, whatever level was chosen before in this process."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as told:
        yield told
    structlog.configure(**before)
