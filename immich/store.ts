import type { ImmichVersion } from "../catalog/immichVersion";

/** What is stored under our keys: JSON texts as stored, without a key where it is absent. */
export interface StoredSettings {
  readonly values: Readonly<Record<string, string>>;
  /** Damage that keeps keys from being read, in words for a person; empty when all is well. */
  readonly damage: readonly string[];
}

/** One change of one key. */
export interface SettingChange {
  readonly key: string;
  /** The new value as JSON text; left out: the key is removed. */
  readonly value?: string;
  /** With a removal: from which part of the path on emptied parents go too (1 is the first). */
  readonly remove?: number;
  /** The change is made only where one of these JSON texts stands (null: nothing stands). */
  readonly expected?: readonly (string | null)[];
}

/** What stood under a key before a change. */
export type PreviousValue =
  | { readonly value: string }
  /** Nothing: the path was missing from its n-th part on (1 is the first). */
  | { readonly missingFrom: number };

export interface WriteOptions {
  /** The server's release. */
  readonly version: ImmichVersion;
  /** Whether embeddings of another CLIP model are emptied. Immich's API does that by itself. */
  readonly embeddings: "clear" | "keep";
  /** Whether a row that is left empty is removed: it was not there before us. */
  readonly dropEmptyRow: boolean;
}

export interface WriteResult {
  readonly before: Readonly<Record<string, PreviousValue>>;
  /** Whether the whole row was absent. */
  readonly rowWasAbsent: boolean;
  /** Changes not made because something else stands there: its JSON text, or null for nothing. */
  readonly skipped: Readonly<Record<string, string | null>>;
  /** Embeddings emptied, or null when none had to be. */
  readonly clearedEmbeddings: number | null;
}

/** How to reach Immich's configuration in its database. */
export interface DatabaseStoreArgs {
  readonly kind: "database";
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
  readonly sslMode: SslMode;
}

/** As PostgreSQL's own client names them. */
export type SslMode = "disable" | "require" | "verify-ca" | "verify-full";

/** How to reach Immich's configuration through its API. */
export interface ApiStoreArgs {
  readonly kind: "api";
  /** The server's address, e.g. http://immich_server:2283, with or without /api. */
  readonly url: string;
  /** Key of an administrator with systemConfig.read and systemConfig.update. */
  readonly apiKey: string;
}

export type StoreArgs = DatabaseStoreArgs | ApiStoreArgs;
