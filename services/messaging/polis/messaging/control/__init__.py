"""Control of who speaks."""
