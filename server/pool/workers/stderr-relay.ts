import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { SerialWriter } from './serial-writer'

const MAX_LINES = 20
/** Characters; a line may be endless. */
const MAX_TEXT = 4000

/** Relays what a worker writes to stderr, and remembers the last of it in case the worker dies. */
export class StderrRelay {
  readonly #from: Readable | null
  readonly #to: SerialWriter
  #text = ''
  /** The worker is gone, and little is left in the pipe. */
  #isDraining = false

  constructor({ stderr }: Pick<ChildProcess, 'stderr'>, to: SerialWriter) {
    this.#from = stderr
    this.#to = to
    stderr?.setEncoding('utf8')
    stderr?.on('data', (text: string) => {
      this.#text = (this.#text + text).slice(-MAX_TEXT)
      void this.passOn(text)
    })
    // What could not be read is missing from the log; nothing else is lost.
    stderr?.on('error', () => undefined)
  }

  /** The last lines. */
  get text(): string {
    return this.#text.trimEnd().split('\n').slice(-MAX_LINES).join('\n')
  }

  /** The worker is gone: reads the rest, even while nobody reads the stderr of this process. */
  drain(): void {
    this.#isDraining = true
    this.#from?.resume()
  }

  /** Stops reading until the text is written: when nobody reads, only the worker waits. */
  private async passOn(text: string): Promise<void> {
    // Invariant 13: what a worker writes is read no faster than it can be written.
    if (!this.#isDraining) this.#from?.pause()
    await this.#to.write(text)
    this.#from?.resume()
  }
}
