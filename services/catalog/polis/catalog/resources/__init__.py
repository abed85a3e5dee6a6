"""Resources and their drafts."""
