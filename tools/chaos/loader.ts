/** Keeps a number of tasks unfinished, by adding more on whichever master can be asked. */
import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../common/clock'
import type { Step } from '../../tests/chaos/load'
import type { Plan, TaskName, Write } from '../../tests/chaos/log'
import { SeededRandom } from '../../tests/chaos/random'
import type { KillableDatabase } from './database'
import type { Master } from './master'

const LOOK_EVERY_MS = 50
const CLOCK_EVERY_MS = 5000
/** How often a master is asked that may be stopped, and answers later. */
const MAY_BE_STOPPED = 0.1

export class Loader {
  readonly #masters: readonly Master[]
  readonly #database: KillableDatabase
  readonly #plan: Iterator<Step, never>
  readonly #write: Write
  readonly #random: SeededRandom
  readonly #isFree: (master: Master) => boolean
  readonly #running = new Set<Promise<void>>()
  #adding = 0

  /** @param isFree whether a master is under no attack */
  constructor(
    masters: readonly Master[],
    database: KillableDatabase,
    plan: Iterator<Step, never>,
    write: Write,
    isFree: (master: Master) => boolean,
    seed: number,
  ) {
    this.#masters = masters
    this.#database = database
    this.#plan = plan
    this.#write = write
    this.#isFree = isFree
    this.#random = new SeededRandom(seed)
  }

  /**
   * @param until on the monotonic clock
   * @param unfinished how many tasks there are to be
   */
  async run(until: number, unfinished: number): Promise<void> {
    for (let nextClock = 0; monotonicNow() < until;) {
      if (monotonicNow() >= nextClock) {
        this.#write({ what: 'clock', wall: Date.now() })
        nextClock = monotonicNow() + CLOCK_EVERY_MS
      }
      const known = await this.#database.unfinished().catch(() => Infinity)
      for (let count = known + this.#adding; count < unfinished; count++) this.begin(this.#plan.next().value)
      await pause(LOOK_EVERY_MS)
    }
  }

  /** Resolves when everything that was begun is done; the masters must be running. */
  async finish(): Promise<void> {
    await Promise.all(this.#running)
  }

  private begin(step: Step): void {
    const running = this.perform(step).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  private async perform(step: Step): Promise<void> {
    const [first, second] = step.plans
    if (first === undefined) return
    switch (step.how) {
      case 'add':
        return this.add(first)
      case 'contest':
        await Promise.all(step.plans.map(plan => this.add(plan)))
        return
      case 'replace':
        await this.add(first)
        await this.withdraw('remove', first, step.after)
        if (second !== undefined) await this.add(second)
        return
      case 'cancel':
        await this.add(first)
        await this.withdraw('cancel', first, step.after)
    }
  }

  private async add(plan: Plan): Promise<void> {
    this.#adding++
    await this.anyMaster()?.call({ method: 'add', plan })
    this.#adding--
  }

  private async withdraw(method: 'remove' | 'cancel', { id, incarnation }: TaskName, after: number): Promise<void> {
    await pause(after)
    await this.anyMaster()?.call({ method, name: { id, incarnation } })
  }

  private anyMaster(): Master | undefined {
    const up = this.#masters.filter(master => master.isUp)
    const free = up.filter(this.#isFree)
    return this.#random.pick(free.length === 0 || this.#random.chance(MAY_BE_STOPPED) ? up : free)
  }
}
