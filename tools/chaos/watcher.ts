/** Notices when a worker is gone, for whatever reason: one that was killed cannot say so itself. */
import { readdirSync } from 'node:fs'
import { monotonicNow } from '../../common/clock'
import type { Write } from '../../tests/chaos/log'
import { isAlive } from '../../tests/support/processes'

const LOOK_EVERY_MS = 50

export class Watcher {
  readonly #log: string
  readonly #write: Write
  /** By file of the log: when its process was last seen alive. */
  readonly #aliveAt = new Map<string, number>()
  readonly #gone = new Set<string>()
  readonly #timer: NodeJS.Timeout

  /** @param log the folder, in which each process has a file that begins with its pid */
  constructor(log: string, write: Write) {
    this.#log = log
    this.#write = write
    this.#timer = setInterval(() => {
      this.look()
    }, LOOK_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.look()
  }

  private look(): void {
    const names = readdirSync(this.#log).filter(name => name.endsWith('.jsonl') && !this.#gone.has(name))
    for (const name of names) this.lookAt(name, Number(name.split('-')[0]))
  }

  private lookAt(name: string, target: number): void {
    const now = monotonicNow()
    if (isAlive(target)) {
      this.#aliveAt.set(name, now)
      return
    }
    this.#gone.add(name)
    this.#write({ what: 'gone', target, aliveAt: this.#aliveAt.get(name) ?? now })
  }
}
