"""Posts messaging's notifications to the webhooks of who wants that."""
