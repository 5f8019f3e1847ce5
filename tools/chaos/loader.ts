/** Keeps a number of tasks unfinished, by adding more on whichever server can be asked. */
import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../common/clock'
import type { Actor, Deed, Step } from '../../tests/chaos/load'
import type { Act, Plan, Write } from '../../tests/chaos/log'
import { SeededRandom } from '../../tests/chaos/random'
import type { KillableDatabase } from './database'
import type { Master } from './master'

const LOOK_EVERY_MS = 50
const CLOCK_EVERY_MS = 5000
/** How often a master is asked that may be stopped, and answers later. */
const MAY_BE_STOPPED = 0.1
/** How often a task is added by the server that has no cluster. */
const BY_WEB = 0.1
/** A task has to be as urgent as this to be next. */
const AT_ONCE = 100

export interface Servers {
  readonly masters: readonly Master[]
  /** Without a cluster. */
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
   * @param unfinished how many tasks there are to be
   */
  async run(until: number, unfinished: number): Promise<void> {
    for (let nextClock = 0; monotonicNow() < until;) {
      if (monotonicNow() >= nextClock) {
        this.#write({ what: 'clock', wall: Date.now() })
        nextClock = monotonicNow() + CLOCK_EVERY_MS
      }
      const known = await this.#servers.database.unfinished().catch(() => Infinity)
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

  /** A worker does it as a task of its own. */
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
