"""A worker in Python: `POLIS_ADDRESS=http://127.0.0.1:8080 POLIS_KEY=pk_... python samples/worker.py`."""

import os

from polis.worker import Job, JobFailed, Worker

worker = Worker(os.environ["POLIS_ADDRESS"], os.environ["POLIS_KEY"])


@worker.component("orders.price")
async def price(job: Job) -> None:
    order = job.inputs["in"]
    if order["count"] < 0:
        raise JobFailed("order.invalid", "an order has at least nothing in it")
    job.emit("out", {"id": order["id"], "price": order["count"] * job.config.get("each", 1)})


if __name__ == "__main__":
    worker.run()
