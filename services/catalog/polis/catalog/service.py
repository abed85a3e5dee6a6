"""The catalog answers for declarative resources, their immutable versions, and artifacts. It owns schema `catalog`."""

from __future__ import annotations

from polis.catalog.changes import service as changes
from polis.catalog.config import Config
from polis.catalog.files import service as files
from polis.catalog.own import open_own
from polis.catalog.resources import service as resources
from polis.catalog.signatures import service as signatures
from polis.catalog.versions import service as versions
from polis.service import Service

service = Service("catalog", settings=Config, open=open_own)
service.include(resources.handlers, versions.handlers, changes.handlers, signatures.handlers, files.handlers)
