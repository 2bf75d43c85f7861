// What `lavoro worker` runs in tests.
import { createLavoro } from "../../dist/index.mjs";

const lavoro = createLavoro({ url: process.env.LAVORO_TEST_URL, schema: process.env.SCHEMA });

export default async () =>
  lavoro.worker({
    handlers: {
      echo: (payload) => payload,
      slow: () => new Promise((resolve) => setTimeout(resolve, 500, "in time")),
      hang: () => new Promise(() => {}),
    },
    grace: 0,
  });
