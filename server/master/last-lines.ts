import type { Readable } from 'node:stream'

const MAX_LINES = 20
/** Characters; a line may be endless. */
const MAX_TEXT = 4000

/** Passes on what a worker writes to stderr, and remembers the end of it, for the case that it dies. */
export class LastLines {
  #text = ''

  constructor(from: Readable | null, to: NodeJS.WritableStream) {
    from?.on('data', (chunk: Buffer) => {
      to.write(chunk)
      this.#text = (this.#text + chunk.toString()).slice(-MAX_TEXT)
    })
  }

  get text(): string {
    return this.#text.trimEnd().split('\n').slice(-MAX_LINES).join('\n')
  }
}
