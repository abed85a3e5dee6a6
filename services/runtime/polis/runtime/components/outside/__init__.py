"""Components that work on what lies outside of the mesh: mailboxes, mail servers, databases, repositories, feeds."""
