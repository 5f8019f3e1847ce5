/** Keeps a number of tasks unfinished: adds more through whichever server is up. */
import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../common/clock'
import type { Actor, Deed, Step } from '../../tests/chaos/load'
import type { Act, Plan, Write } from '../../tests/chaos/log'
import { SeededRandom } from '../../tests/chaos/random'
import type { KillableDatabase } from './database'
import type { Master } from './master'

const POLL_EVERY_MS = 50
const CLOCK_EVERY_MS = 5000
/** How likely a call goes to any master that is up, even to one that is stopped and answers later. */
const MAY_BE_STOPPED = 0.1
/** How likely a task is added by the server without a cluster. */
const BY_WEB = 0.1
/** A task of this priority is the next to run. */
const AT_ONCE = 100

export interface Servers {
  readonly masters: readonly Master[]
  /** The server without a cluster. */
  readonly web: Master
  readonly database: KillableDatabase
}

export class Loader {
  readonly #servers: Servers
  readonly #plan: Iterator<Step, never>
  readonly #write: Write
  readonly #random: SeededRandom
  readonly #isFree: (master: Master) => boolean
  readonly #running = new Set<Promise<void>>()
  #adding = 0

  /** @param isFree whether a master is under no attack */
  constructor(
    servers: Servers,
    plan: Iterator<Step, never>,
    write: Write,
    isFree: (master: Master) => boolean,
    seed: number,
  ) {
    this.#servers = servers
    this.#plan = plan
    this.#write = write
    this.#isFree = isFree
    this.#random = new SeededRandom(seed)
  }

  /**
   * @param until on the monotonic clock
   * @param unfinished how many tasks to keep unfinished
   */
  async run(until: number, unfinished: number): Promise<void> {
    for (let nextClock = 0; monotonicNow() < until;) {
      if (monotonicNow() >= nextClock) {
        this.#write({ what: 'clock', wall: Date.now() })
        nextClock = monotonicNow() + CLOCK_EVERY_MS
      }
      const known = await this.#servers.database.unfinished().catch(() => Infinity)
      for (let count = known + this.#adding; count < unfinished; count++) this.begin(this.#plan.next().value)
      await pause(POLL_EVERY_MS)
    }
  }

  /** Resolves when every step that was begun is done. The masters must be running. */
  async finish(): Promise<void> {
    await Promise.all(this.#running)
  }

  private begin(step: Step): void {
    const running = this.perform(step).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  private async perform({ how, plans, deeds }: Step): Promise<void> {
    const [first, second] = plans
    if (first === undefined) return
    if (how === 'contest') await Promise.all(plans.map(plan => this.add([plan])))
    else await this.add(how === 'batch' ? plans : [first])
    for (const [index, deed] of deeds.entries()) await this.carryOut(deed, first, index)
    if (how === 'replace' && second !== undefined) await this.add([second])
  }

  private async add(plans: readonly Plan[]): Promise<void> {
    this.#adding++
    await this.server(this.#random.chance(BY_WEB) ? 'web' : 'master')?.call({ method: 'add', plans })
    this.#adding--
  }

  /** If a worker is to act, the act is added as a task, which a worker runs. */
  private async carryOut({ method, by, after }: Deed, { id, incarnation }: Plan, index: number): Promise<void> {
    await pause(after)
    const act: Act = { method, name: { id, incarnation } }
    if (by === 'worker') await this.add([actingPlan(`${id}-act-${String(index)}`, act)])
    else await this.server(by)?.call(act)
  }

  private server(by: Exclude<Actor, 'worker'>): Master | undefined {
    const { masters, web } = this.#servers
    if (by === 'web') return web
    const up = masters.filter(master => master.isUp)
    const free = up.filter(this.#isFree)
    return this.#random.pick(free.length === 0 || this.#random.chance(MAY_BE_STOPPED) ? up : free)
  }
}

function actingPlan(id: string, act: Act): Plan {
  return { id, incarnation: `${id}-a`, kind: 'acting', due: null, retries: 0, failures: 0, priority: AT_ONCE, act }
}
