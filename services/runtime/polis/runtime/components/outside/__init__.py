"""Components that work on what lies outside of the mesh: mailboxes, mail servers, databases, repositories, feeds."""

from polis.runtime.components.outside import feed, git, imap, smtp, sql

__all__ = ["feed", "git", "imap", "smtp", "sql"]
