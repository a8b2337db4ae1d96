/**
 * Which form of an etag a server requires. Ceph RGW and DigitalOcean Spaces answer 412 to a quoted
 * If-Match on PUT, R2 requires quotes on reads, AWS and MinIO take both. The first guess suits all of
 * them; what a server answers corrects it, once for the life of the backend.
 */

/** The form the backend hands out and compares: no quotes, no weakness mark. */
export function normalizeEtag(etag: string): string {
  return etag.replace(/^W\//, "").replace(/^"(.*)"$/s, "$1");
}

export interface EtagHeader {
  readonly value: string;
  readonly quoted: boolean;
}

export class EtagForm {
  #readQuoted = true;
  #putQuoted = false;
  #putSettled = false;

  /** For If-None-Match on GET. */
  forRead(etag: string): EtagHeader {
    return header(etag, this.#readQuoted);
  }

  /** For If-Match on PUT. */
  forPut(etag: string): EtagHeader {
    return header(etag, this.#putQuoted);
  }

  /** A PUT with the form was accepted: from now on a 412 means a mismatch and nothing else. */
  get putSettled(): boolean {
    return this.#putSettled;
  }

  putAccepted(sent: EtagHeader): void {
    this.#putSettled ||= sent.quoted === this.#putQuoted;
  }

  /** 412 although the etag sent is the current one. A parallel request may have flipped already. */
  putRefused(sent: EtagHeader): void {
    if (sent.quoted === this.#putQuoted) {
      this.#putQuoted = !sent.quoted;
      this.#putSettled = false;
    }
  }

  /** The whole object came although the etag sent is the current one. */
  readIgnored(sent: EtagHeader): void {
    if (sent.quoted === this.#readQuoted) this.#readQuoted = !sent.quoted;
  }
}

function header(etag: string, quoted: boolean): EtagHeader {
  const bare = normalizeEtag(etag);
  return { value: quoted ? `"${bare}"` : bare, quoted };
}
