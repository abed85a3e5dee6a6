"""The runtime's own bench, in a process that is another replica of the runtime of the mesh."""

from __future__ import annotations

import uvloop

from polis.runtime import bench
from polis.runtime.config import Config
from polis.runtime.retention.policy import Policy
from polis.runtime.retention.sweep import Sweep
from polis.service.config import read
from polis.service.kernel import open_kernel
from polis.service.service import settle
from tests.bench.child import own_output, serve


async def main() -> None:
    output, config = own_output(), read(Config)
    async with open_kernel("runtime", config) as kernel:

        async def measure_durable(effects: bool, callers: int, seconds: float, steps: int = 5) -> object:
            found = await bench.durable_runs(
                config, kernel, steps=steps, effects=effects, callers=callers, seconds=seconds
            )
            return found.runs_per_s, found.p50_ms, found.p99_ms

        async def measure(in_memory: int = 0, sweep: dict[str, int] | None = None, **asked: object) -> object:
            if sweep is not None:
                return await Sweep(kernel.database, Policy(**sweep)).turn()
            return (
                bench.in_memory(many=in_memory, seconds=1.0) if in_memory else await measure_durable(**asked)
            )

        settle()  # as a service does
        await serve(measure, output)


if __name__ == "__main__":
    uvloop.run(main())
