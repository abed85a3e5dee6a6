"""Identity answers for orgs, principals, sessions and credentials. It alone issues tokens."""

from polis.proto.identity.administrators import *
from polis.proto.identity.agents import *
from polis.proto.identity.audit import *
from polis.proto.identity.factors import *
from polis.proto.identity.grants import *
from polis.proto.identity.keys import *
from polis.proto.identity.mails import *
from polis.proto.identity.oauth import *
from polis.proto.identity.orgs import *
from polis.proto.identity.passwords import *
from polis.proto.identity.people import *
from polis.proto.identity.quotas import *
from polis.proto.identity.roles import *
from polis.proto.identity.sessions import *
from polis.proto.identity.standing import *
from polis.proto.identity.tokens import *
from polis.proto.identity.units import *
from polis.proto.identity.vault import *
from polis.proto.identity.words import *
