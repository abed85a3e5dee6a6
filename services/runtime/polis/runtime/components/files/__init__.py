"""Components that read and write files of the org, each in a process of its own where strangers' bytes are parsed."""

from polis.runtime.components.files import archive, content, image, pdf, sheet

__all__ = ["archive", "content", "image", "pdf", "sheet"]
