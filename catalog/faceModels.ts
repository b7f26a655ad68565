/** A face model of Immich's ML server. The server stores any name unchecked; the ML side answers 500. */
export interface FaceModel {
  readonly name: string;
  /** First Immich release that knows the name; "1.94.0" stands for that or older. */
  readonly since: string;
  /**
   * Memory on a GPU in MiB. Immich publishes no figure: this is reasoned from the size of the files
   * (buffalo_l 191 MB, buffalo_s 16 MB) and from reports that recognition fills a GPU of 4 GB
   * (immich-app/immich#31675). Not measured.
   */
  readonly memory: number;
}

/** The face models of Immich v3.1.0 (its ML server's list), smallest first. */
export const faceModels: readonly FaceModel[] = [
  { name: "buffalo_s", since: "1.94.0", memory: 200 },
  { name: "buffalo_m", since: "1.94.0", memory: 650 },
  { name: "buffalo_l", since: "1.94.0", memory: 700 },
  { name: "antelopev2", since: "1.94.0", memory: 900 },
];
