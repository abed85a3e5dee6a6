"""PostgreSQL as the mesh uses it: tenancy by row-level security, bounded waits, outbox and inbox. Nothing else imports asyncpg."""

from polis.db.batch import Batch
from polis.db.database import Database
from polis.db.deadline import Deadline
from polis.db.errors import CheckViolation, ConstraintViolation, ForeignKeyViolation, UniqueViolation, lasting
from polis.db.group import Caller, GroupCommit
from polis.db.ids import new_id
from polis.db.migrate import check_schema
from polis.db.pages import Listing
from polis.db.tenant import Tenant
from polis.db.transaction import Transaction

__all__ = [
    "Batch",
    "Caller",
    "CheckViolation",
    "ConstraintViolation",
    "Database",
    "Deadline",
    "ForeignKeyViolation",
    "GroupCommit",
    "Listing",
    "Tenant",
    "Transaction",
    "UniqueViolation",
    "check_schema",
    "lasting",
    "new_id",
]
