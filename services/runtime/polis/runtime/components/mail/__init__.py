"""Reading a mailbox, and making conversations of its mails."""
