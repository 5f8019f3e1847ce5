import type { Readable } from 'node:stream'

const MAX_LINES = 20
/** Characters; a line may be endless. */
const MAX_TEXT = 4000

/** Passes on what a worker writes to stderr, and remembers the end of it, for the case that it dies. */
export class LastLines {
  #text = ''

  constructor(from: Readable | null, to: NodeJS.WritableStream) {
    from?.setEncoding('utf8')
    from?.on('data', (text: string) => {
      to.write(text)
      this.#text = (this.#text + text).slice(-MAX_TEXT)
    })
    // What could not be read is missing from the log, and nothing else.
    from?.on('error', () => undefined)
  }

  get text(): string {
    return this.#text.trimEnd().split('\n').slice(-MAX_LINES).join('\n')
  }
}
