/** An OCR model of Immich's ML server. The server stores any name unchecked; the ML side answers 500. */
export interface OcrModel {
  readonly name: string;
  /** First Immich release that knows the name. */
  readonly since: string;
  /** Memory on a GPU in MiB. Immich publishes no figure: reasoned, not measured. */
  readonly memory: number;
}

/**
 * The OCR models of Immich v3.1.0. OCR came with v2.2.0 (immich-app/immich#18836), the models of one
 * language with v2.3.0 (#23527).
 */
export const ocrModels: readonly OcrModel[] = [
  { name: "PP-OCRv5_mobile", since: "2.2.0", memory: 300 },
  { name: "PP-OCRv5_server", since: "2.2.0", memory: 900 },
  { name: "CH__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
  { name: "CH__PP-OCRv5_server", since: "2.3.0", memory: 900 },
  { name: "EL__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
  { name: "EN__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
  { name: "ESLAV__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
  { name: "KOREAN__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
  { name: "LATIN__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
  { name: "TH__PP-OCRv5_mobile", since: "2.3.0", memory: 300 },
];

/** First Immich release with OCR at all. */
export const ocrSince = "2.2.0";

/**
 * Names that circulate though no Immich release has such a model, each with an explanation.
 * `DuOCR`: no hit in the history of Immich's server, ML server or documentation up to v3.1.0.
 */
export const misspelledOcrNames: Readonly<Record<string, string>> = {
  DuOCR:
    "DuOCR is named in guides for old GPUs, but no Immich release has such a model: the server " +
    "stores the name unchecked and every OCR job then fails with HTTP 500. " +
    "With 2 GB of video memory switch OCR off, otherwise use PP-OCRv5_mobile",
};
