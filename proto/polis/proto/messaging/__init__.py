"""Messaging answers for conversations: who takes part, what is said, and who has seen it."""

from polis.proto.messaging.addressing import *
from polis.proto.messaging.announcements import *
from polis.proto.messaging.control import *
from polis.proto.messaging.conversations import *
from polis.proto.messaging.events import *
from polis.proto.messaging.handoffs import *
from polis.proto.messaging.keeping import *
from polis.proto.messaging.live import *
from polis.proto.messaging.marks import *
from polis.proto.messaging.messages import *
from polis.proto.messaging.notifications import *
from polis.proto.messaging.participants import *
from polis.proto.messaging.search import *
from polis.proto.messaging.streams import *
from polis.proto.messaging.turns import *
from polis.proto.messaging.words import *
