/** Carries out the planned attacks. They start one after another, and overlap if their targets allow it. */
import { setTimeout as pause } from 'node:timers/promises'
import { monotonicNow } from '../../common/clock'
import { USUAL_BOOT_MS } from '../../tests/chaos/history'
import type { Write } from '../../tests/chaos/log'
import type { PlannedAttack } from '../../tests/chaos/nemesis'
import { type Attacked, attackMaster, killWorker, stopFor, stopPair, takeAway } from './attacks'
import type { KillableDatabase } from './database'
import type { Master } from './master'

/** At this many attacks without a target, no more are drawn from the plan. */
const MAX_POSTPONED = 8

/** Limits the slowness, because attacks have to come on a slow machine too. */
const MAX_SLOWNESS = 6

export interface Victims {
  readonly masters: readonly Master[]
  readonly database: KillableDatabase
  /** How many milliseconds these masters took to boot. On a busy machine, all pauses grow in proportion. */
  readonly bootedIn: number
}

interface Targeted {
  readonly locks: readonly (Master | KillableDatabase | number)[]
  /** Whether a master is down or stopped during the attack. */
  readonly takesMaster: boolean
  readonly carryOut: () => Promise<Attacked>
}

export class Attacker {
  readonly #victims: Victims
  readonly #plan: Iterator<PlannedAttack, never>
  readonly #write: Write
  readonly #locks = new Set<unknown>()
  readonly #running = new Set<Promise<void>>()
  readonly #postponed: PlannedAttack[] = []
  #mastersTaken = 0

  constructor(victims: Victims, plan: Iterator<PlannedAttack, never>, write: Write) {
    this.#victims = victims
    this.#plan = plan
    this.#write = write
  }

  /** Resolves when the last attack is over and its targets run again. @param until on the monotonic clock */
  async run(until: number): Promise<void> {
    while (monotonicNow() < until) {
      if (this.#postponed.length < MAX_POSTPONED) this.#postponed.push(this.#plan.next().value)
      await pause((this.#postponed.at(-1)?.pause ?? 0) * this.slowness)
      const busy = await this.busyMasters()
      const index = this.#postponed.findIndex(attack => this.begin(attack, busy))
      if (index >= 0) this.#postponed.splice(index, 1)
    }
    await Promise.all(this.#running)
  }

  /** Whether this master is under no attack. */
  isFree(master: Master): boolean {
    return !this.#locks.has(master)
  }

  /** Stretches all pauses. Otherwise, on a slow machine, workers are killed before they boot, and hardly a job runs. */
  private get slowness(): number {
    return Math.min(MAX_SLOWNESS, Math.max(1, this.#victims.bootedIn / USUAL_BOOT_MS))
  }

  private async busyMasters(): Promise<ReadonlySet<number>> {
    const { database } = this.#victims
    return this.#locks.has(database) ? new Set() : database.busyMasters()
  }

  /** @returns false if this attack has no target now */
  private begin(attack: PlannedAttack, busy: ReadonlySet<number>): boolean {
    const targeted = this.aim(attack, busy)
    if (targeted === undefined) return false
    const running = this.carryOut(attack, targeted).finally(() => this.#running.delete(running))
    this.#running.add(running)
    return true
  }

  private async carryOut({ kind }: PlannedAttack, { locks, takesMaster, carryOut }: Targeted): Promise<void> {
    for (const lock of locks) this.#locks.add(lock)
    if (takesMaster) this.#mastersTaken++
    const { targets, from, orphans = [] } = await carryOut()
    const until = monotonicNow()
    this.#write({ what: 'attack', kind, targets, from, until })
    if (orphans.length > 0) this.#write({ what: 'attack', kind: 'stop-worker', targets: orphans, from, until })
    if (takesMaster) this.#mastersTaken--
    for (const lock of locks) this.#locks.delete(lock)
  }

  private aim(attack: PlannedAttack, busy: ReadonlySet<number>): Targeted | undefined {
    switch (attack.kind) {
      case 'kill-mongod':
        return this.aimAtDatabase(attack)
      case 'kill-worker':
      case 'stop-worker':
        return this.aimAtWorker(attack)
      case 'kill-master':
      case 'skew':
      case 'clean-stop':
      case 'stop-master':
        return this.aimAtMaster(attack)
      case 'stop-pair':
        return this.aimAtPair(attack, busy)
    }
  }

  private aimAtDatabase({ duration }: PlannedAttack): Targeted | undefined {
    const { database } = this.#victims
    if (this.#locks.has(database)) return undefined
    return { locks: [database], takesMaster: false, carryOut: () => takeAway(database, duration) }
  }

  /** Locks the worker alone: its master may be attacked at the same time. */
  private aimAtWorker({ kind, target, duration }: PlannedAttack): Targeted | undefined {
    const workers = this.#victims.masters.flatMap(master => this.freeWorkers(master))
    const worker = choose(workers, target)
    if (worker === undefined) return undefined
    const carryOut = () => (kind === 'kill-worker' ? killWorker(worker) : stopFor([worker], duration))
    return { locks: [worker], takesMaster: false, carryOut }
  }

  private aimAtMaster(attack: PlannedAttack): Targeted | undefined {
    const { database } = this.#victims
    // A clean stop waits for the master's workers, so none of them may be under attack.
    const isClean = attack.kind === 'clean-stop'
    const masters = this.freeMasters().filter(one => !isClean || this.freeWorkers(one).length === one.workerPids.length)
    const master = choose(masters, attack.target)
    if (master === undefined) return undefined
    const workers = attack.kind === 'kill-master' ? this.freeWorkers(master) : []
    return { locks: [master, ...workers], takesMaster: true, carryOut: () => attackMaster(database, master, attack) }
  }

  /**
   * A worker that gets another job soon, because its master is not busy. The attack asks the database when the master
   * claims the job, so it locks the database too.
   */
  private aimAtPair({ target, duration }: PlannedAttack, busy: ReadonlySet<number>): Targeted | undefined {
    const { database } = this.#victims
    if (this.#locks.has(database)) return undefined
    const masters = this.freeMasters().filter(({ pid }) => !busy.has(pid))
    const pairs = masters.flatMap(master => this.freeWorkers(master).map(worker => ({ master, worker })))
    const pair = choose(pairs, target)
    if (pair === undefined) return undefined
    const { master, worker } = pair
    const carryOut = () => stopPair(database, master, worker, duration)
    return { locks: [master, worker, database], takesMaster: true, carryOut }
  }

  private freeWorkers(master: Master): number[] {
    return master.workerPids.filter(pid => !this.#locks.has(pid))
  }

  /** The masters that may be stopped or killed. One is always left, unless there is only one. */
  private freeMasters(): Master[] {
    const { masters } = this.#victims
    if (this.#mastersTaken >= Math.max(1, masters.length - 1)) return []
    return masters.filter(master => master.isUp && !this.#locks.has(master))
  }
}

function choose<Item>(items: readonly Item[], share: number): Item | undefined {
  return items[Math.floor(share * items.length)]
}
