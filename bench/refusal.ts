import { openEngineStack } from "../test/support/engineStack";
import { benchmark, type Figures, timed } from "./support/benchmark";
import { watchMemory } from "./support/processTree";

/** A typing mistake in the stack file: from `pulumi preview` to its message, and the program's memory. */
const rounds = 5;

async function measure(figures: Figures): Promise<void> {
  const stack = await openEngineStack({
    name: "bench-refusal",
    config: {
      immich: { version: "v2.7.5" },
      hosts: [{ name: "attic", accelerator: "cdua" }],
    },
  });
  try {
    const seconds: number[] = [];
    const memory: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const { milliseconds, answer } = await timed(async () => {
        const { child, ended } = stack.command("preview", "--config-file", stack.configFile);
        const watch = watchMemory(child.pid!);
        const { code, text } = await ended;
        if (code === 0 || !text.includes("cdua")) throw new Error(`was not refused:\n${text}`);
        return watch.stop();
      });
      seconds.push(milliseconds / 1000);
      memory.push(answer.program);
    }
    figures.add("refusal.preview", seconds, "s", { atMost: 2 });
    figures.add("refusal.memory.program", memory, "MB", { atMost: 250 });
  } finally {
    await stack.dispose();
  }
}

benchmark("refusal", measure);
