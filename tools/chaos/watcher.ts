/** Notices when a process is gone, for whatever reason: one that was killed cannot log it itself. */
import { readdirSync } from 'node:fs'
import { monotonicNow } from '../../common/clock'
import type { Write } from '../../tests/chaos/log'
import { isAlive } from '../../tests/support/processes'

const POLL_EVERY_MS = 50

export class Watcher {
  readonly #log: string
  readonly #write: Write
  /** By log file: when its process was last seen alive. */
  readonly #aliveAt = new Map<string, number>()
  readonly #gone = new Set<string>()
  readonly #timer: NodeJS.Timeout

  /** @param log the folder, in which each process has a file whose name begins with its pid */
  constructor(log: string, write: Write) {
    this.#log = log
    this.#write = write
    this.#timer = setInterval(() => {
      this.poll()
    }, POLL_EVERY_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.poll()
  }

  private poll(): void {
    const names = readdirSync(this.#log).filter(name => name.endsWith('.jsonl') && !this.#gone.has(name))
    for (const name of names) this.check(name, Number(name.split('-')[0]))
  }

  private check(name: string, target: number): void {
    const now = monotonicNow()
    if (isAlive(target)) {
      this.#aliveAt.set(name, now)
      return
    }
    this.#gone.add(name)
    this.#write({ what: 'gone', target, aliveAt: this.#aliveAt.get(name) ?? now })
  }
}
