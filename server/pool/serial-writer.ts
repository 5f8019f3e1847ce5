import { write } from 'node:fs'

/** When a descriptor that does not block takes no more. */
const RETRY_AFTER_MS = 50

/**
 * Writes one text after the other to a file descriptor, without blocking the event loop. `process.stderr` blocks it when
 * it is a pipe that nobody reads.
 */
export class SerialWriter {
  readonly #fd: number
  #last = Promise.resolve()

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Resolves when it is written, or cannot be: then it is missing, and nothing else. */
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
