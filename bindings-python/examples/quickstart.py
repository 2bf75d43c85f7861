"""What README shows. Needs a migrated database, or none: then it starts one in `.lavoro/`."""

# README begin
import asyncio

import lavoro

app = lavoro.Lavoro()


@app.task(queue="mail", max_attempts=5)
async def greet(name: str) -> str:
    return f"Hello, {name}!"


async def main() -> None:
    async with app, app.worker(queues={"mail": 10}):
        job = await greet.enqueue("Ada")
        print(await job.result(timeout="10 seconds"))


if __name__ == "__main__":
    asyncio.run(main())
# README end
