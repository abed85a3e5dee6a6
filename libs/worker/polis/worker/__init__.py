"""Does the jobs of components of type `external`: a function for each, anywhere that reaches the gateway.

It knows the gateway's HTTP and nothing else of the mesh.
"""

from polis.worker.job import Job, JobFailed
from polis.worker.worker import Worker

__all__ = ["Job", "JobFailed", "Worker"]
