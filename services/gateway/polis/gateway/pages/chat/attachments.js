// Files of messages: pictures and sounds where they stand, everything else to download; and files on their way to the gateway.

import { h } from "./element.js";

const SHOWN = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]);
const SHOWN_BYTES = 4 * 1024 * 1024;
const UNITS = ["bytes", "KB", "MB", "GB"];

export function sizeOf(bytes) {
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** unit;
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

// Bytes come from this gateway alone, with the cookies of the session.
export function fileOf({ artifact_id: id, name, title, media_type: type, size, kind }) {
  const href = `/api/v1/artifacts/${encodeURIComponent(id)}/content`;
  const label = title || name || "File";
  const link = h("a", { className: "file", href, download: name || "file" }, `${label} `, h("small", {}, `${sizeOf(size)}, download`));
  if (SHOWN.has(type) && size <= SHOWN_BYTES) return h("figure", {}, h("img", { src: href, alt: label, loading: "lazy", decoding: "async" }), h("figcaption", {}, link));
  if (kind === "audio") return h("figure", {}, h("audio", { src: href, controls: true, preload: "none", aria: { label } }), h("figcaption", {}, link));
  return h("p", {}, link);
}

// Stores a file part by part, each of which may be repeated; `progress` is told how much of it has arrived, from 0 to 1.
export async function store(polis, file, progress, signal) {
  const type = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(file.type) ? file.type : "application/octet-stream";
  const upload = await polis.call("CreateUpload", { name: nameOf(file), size: file.size, media_type: type, visibility: "private" }, { signal });
  try {
    for (let number = 0, from = 0; from < file.size; number += 1, from += upload.part_bytes) {
      const content = file.slice(from, from + upload.part_bytes);
      await patient(() => polis.call("PutPart", { upload_id: upload.id, number, content }, { signal }), signal);
      progress(Math.min(1, (from + upload.part_bytes) / file.size));
    }
    const artifact = await polis.call("CompleteUpload", { upload_id: upload.id }, { signal });
    return { kind: type.startsWith("audio/") ? "audio" : "file", artifact_id: artifact.id, name: artifact.name, size: artifact.size, media_type: artifact.media_type };
  } catch (error) {
    polis.call("CancelUpload", { upload_id: upload.id }).catch(() => {});
    throw error;
  }
}

const ATTEMPTS = 5;

// The same part again replaces it, so one of which the answer was lost is put once more.
async function patient(put, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await put();
    } catch (error) {
      const passing = !error.status || error.status === 429 || error.status >= 500;
      if (!passing || signal.aborted || attempt >= ATTEMPTS) throw error;
      await new Promise((done) => setTimeout(done, 500 * 2 ** attempt));
    }
  }
}

const nameOf = ({ name }) => [...name].filter((char) => char >= " " && char !== "\x7f" && char !== "/").join("").slice(-200) || "file";
