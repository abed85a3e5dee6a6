"""Work on what strangers made, in a process of its own: it may take its memory and its time, and is ended for more.

What runs there imports next to nothing of the mesh, so that it starts soon.
"""
