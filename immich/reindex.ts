import * as pulumi from "@pulumi/pulumi";

import type { ImmichApi } from "./immichApi";
import { startQueue } from "./jobs";

/** The arguments of {@link Reindex}. */
export interface ReindexArgs {
  /** Immich's API; the key needs the permissions job.create and job.read. */
  api: { url: pulumi.Input<string>; apiKey: pulumi.Input<string> };
  /** When the CLIP model changed last; another value starts Smart Search, "" never does. */
  clipChangedAt: pulumi.Input<string>;
  /** Whether all photos are indexed again, instead of those without an embedding. */
  force: pulumi.Input<boolean>;
  /**
   * When the face model changed last, where faces are to be detected again; "" where they are not.
   * Detecting them again loses every person's name.
   */
  faceChangedAt: pulumi.Input<string>;
  /** Seconds during which progress is reported. @default 60 */
  timeout?: pulumi.Input<number>;
}

/** Has Immich index the photos again after a model changed. Removing it does nothing. */
export class Reindex extends pulumi.dynamic.Resource {
  /** What became of it, for a person. */
  declare readonly outcome: pulumi.Output<string>;

  constructor(name: string, args: ReindexArgs, opts?: pulumi.CustomResourceOptions) {
    const inputs = { ...args, timeout: args.timeout ?? 60, outcome: undefined };
    super(provider, name, inputs, opts, "immich-ml", "Reindex");
  }
}

interface Inputs {
  readonly api: ImmichApi;
  readonly clipChangedAt: string;
  readonly faceChangedAt: string;
  readonly force: boolean;
  readonly timeout: number;
}
type State = Inputs & { readonly outcome: string; readonly __provider?: string };

/** @internal See the remark on the provider in systemConfig.ts. */
export const provider: pulumi.dynamic.ResourceProvider<Inputs, State> = {
  diff: (_id, olds, news) =>
    Promise.resolve({
      changes: ["api", "clipChangedAt", "faceChangedAt", "force", "timeout", "__provider"].some(
        (name) =>
          JSON.stringify(olds[name as keyof State]) !==
          JSON.stringify((news as State)[name as keyof State]),
      ),
    }),
  create: async (inputs) => ({
    id: "reindex",
    outs: { ...inputs, outcome: await reindex(inputs, undefined) },
  }),
  update: async (_id, olds, news) => ({ outs: { ...news, outcome: await reindex(news, olds) } }),
};

async function reindex(inputs: Inputs, before: State | undefined): Promise<string> {
  const { api, force, timeout } = inputs;
  const tell = (line: string) => console.log(line);
  const outcomes: string[] = [];
  if (inputs.clipChangedAt !== "" && inputs.clipChangedAt !== before?.clipChangedAt) {
    outcomes.push(await startQueue(api, "smartSearch", { force, timeout }, tell));
  }
  if (inputs.faceChangedAt !== "" && inputs.faceChangedAt !== before?.faceChangedAt) {
    outcomes.push(await startQueue(api, "faceDetection", { force: true, timeout }, tell));
  }
  return outcomes.length > 0
    ? outcomes.join(" ")
    : (before?.outcome ?? "not needed: no model changed");
}
