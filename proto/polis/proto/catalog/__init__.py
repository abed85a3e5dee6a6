"""The catalog answers for declarative resources, their immutable versions, and artifacts."""

from polis.proto.catalog.activations import *
from polis.proto.catalog.artifacts import *
from polis.proto.catalog.bounds import *
from polis.proto.catalog.changes import *
from polis.proto.catalog.effective import *
from polis.proto.catalog.resources import *
from polis.proto.catalog.signatures import *
from polis.proto.catalog.versions import *
from polis.proto.catalog.words import *
