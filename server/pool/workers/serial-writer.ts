import { write } from 'node:fs'

/** The pause before the next try, when a non-blocking descriptor accepts no more. */
const RETRY_AFTER_MS = 50

/**
 * Writes one text after the other to a file descriptor, without blocking the event loop. `process.stderr` would block
 * it when it is a pipe that nobody reads.
 */
export class SerialWriter {
  readonly #fd: number
  #last = Promise.resolve()

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Resolves when the text is written, or cannot be written; then only this text is missing. */
  write(text: string): Promise<void> {
    this.#last = this.#last.then(() => this.writeAll(Buffer.from(text)))
    return this.#last
  }

  private async writeAll(bytes: Buffer): Promise<void> {
    for (let left = bytes; left.length > 0;) {
      const written = await this.writeSome(left)
      if (written === undefined) return
      left = left.subarray(written)
    }
  }

  /** @returns how many bytes were written, or undefined when none ever will */
  private writeSome(bytes: Buffer): Promise<number | undefined> {
    return new Promise(resolve => {
      write(this.#fd, bytes, (error, written) => {
        if (error === null) resolve(written)
        else if (error.code === 'EAGAIN') setTimeout(() => resolve(0), RETRY_AFTER_MS)
        else resolve(undefined)
      })
    })
  }
}

/** The stderr of this process. */
export const stderr = new SerialWriter(2)
