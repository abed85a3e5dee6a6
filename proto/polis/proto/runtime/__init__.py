"""The runtime answers for runs: durable executions of one graph version."""

from polis.proto.runtime.approvals import *
from polis.proto.runtime.ask_links import *
from polis.proto.runtime.asks import *
from polis.proto.runtime.assistants import *
from polis.proto.runtime.children import *
from polis.proto.runtime.handing import *
from polis.proto.runtime.history import *
from polis.proto.runtime.jobs import *
from polis.proto.runtime.lines import *
from polis.proto.runtime.live import *
from polis.proto.runtime.migration import *
from polis.proto.runtime.pictures import *
from polis.proto.runtime.retention import *
from polis.proto.runtime.runs import *
from polis.proto.runtime.steering import *
from polis.proto.runtime.talked import *
from polis.proto.runtime.telling import *
from polis.proto.runtime.triggers import *
from polis.proto.runtime.words import *
