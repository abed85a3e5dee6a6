"""Components that ask hosts outside."""

from polis.runtime.components.web import request, webhook

__all__ = ["request", "webhook"]
