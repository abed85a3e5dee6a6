"""Those who act besides people: agents, and whom services act for."""
