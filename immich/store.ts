import type { ImmichVersion } from "../catalog/immichVersion";
import type { ImmichApi } from "./immichApi";

/** One change of one key. */
export interface SettingChange {
  readonly key: string;
  /** The new value as JSON text; left out: the key is removed. */
  readonly value?: string;
  /** With a removal: parents that it empties go too, from this part of the path on (1 is the first). */
  readonly remove?: number;
  /** Change only if the key holds one of these JSON texts (null: the key is absent). */
  readonly expected?: readonly (string | null)[];
}

/** What a key held before a change. */
export type PreviousValue =
  | { readonly value: string }
  /** Nothing: the path was missing from its n-th part on (1 is the first). */
  | { readonly missingFrom: number };

export interface WriteOptions {
  /** The server's release. */
  readonly version: ImmichVersion;
  /** Whether a change of the CLIP model clears the embeddings. By its API Immich always does. */
  readonly embeddings: "clear" | "keep";
  /** Whether a row that ends up empty is removed, since it was absent before. */
  readonly dropEmptyRow: boolean;
  /** Whether the API saves even what is stored already: servers may run on older values. @default false */
  readonly announce?: boolean;
}

export interface WriteResult {
  readonly before: Readonly<Record<string, PreviousValue>>;
  /** Whether the whole row was absent. */
  readonly rowWasAbsent: boolean;
  /** Whether the whole row is no object; then nothing was restored. */
  readonly rowIsDamaged: boolean;
  /** Keys left alone because they held something else: its JSON text, or null for nothing. */
  readonly skipped: Readonly<Record<string, string | null>>;
  /** Number of embeddings cleared, or null when none had to be. */
  readonly clearedEmbeddings: number | null;
}

/** A PostgreSQL database and the user who connects. */
export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly sslMode: SslMode;
}

/** How to reach Immich's configuration in its database. */
export interface DatabaseStoreArgs extends DatabaseAddress {
  readonly kind: "database";
}

/** As PostgreSQL's own client names them. */
export type SslMode = "disable" | "require" | "verify-ca" | "verify-full";

/** How to reach Immich's configuration through its API. */
export interface ApiStoreArgs extends ImmichApi {
  readonly kind: "api";
}

export type StoreArgs = DatabaseStoreArgs | ApiStoreArgs;
