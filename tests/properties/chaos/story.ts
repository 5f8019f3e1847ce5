/** Histories of crash runs, written by hand, for the tests of the checker. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../../chaos/check'
import type { Settings } from '../../chaos/history'
import type { Act, Attack, Entry, EntryOf, Fact, Kind, Plan, TaskEventName } from '../../chaos/log'
import { PLANNED_ERROR } from '../../chaos/planned'

export const LEASE = 3000
const SETTINGS: Settings = { lease: LEASE, maxCrashes: 3, refreshRate: 250, abortGrace: 1000, hasNemesis: true }
export const WALL = 1_000_000

export const DRIVER = 1
const MASTERS = [10, 20] as const
/** The worker of a master. */
const WORKER = { 10: 11, 20: 21 } as const
type MasterPid = keyof typeof WORKER
/** What is logged before and after a call. */
const ACT = {
  remove: ['removing', 'removed'],
  cancel: ['cancelling', 'cancelled'],
  retry: ['retrying', 'retried'],
  pause: ['pausing', 'paused'],
  resume: ['resuming', 'resumed'],
} as const

/** Writes a history by hand. Times in milliseconds from its start. */
export class Story {
  entries: Entry[] = []
  #tokens = 0
  readonly #attempts = new Map<string, number>()

  constructor() {
    this.say(0, DRIVER, { what: 'clock', wall: WALL })
    for (const master of MASTERS) {
      this.say(1, master, { what: 'process', role: 'master', parent: DRIVER })
      this.say(2, WORKER[master], { what: 'process', role: 'worker', parent: master })
    }
  }

  say(at: number, pid: number, fact: Fact): this {
    this.entries.push({ at, pid, ...fact })
    return this
  }

  add(at: number, name: string, kind: Kind = 'short', more: Partial<Plan> = {}): Plan {
    const plan: Plan = { id: name, incarnation: name, kind, due: null, retries: 0, failures: 0, ...more }
    this.say(at, 10, { what: 'adding', ...plan }).say(at + 5, 10, { what: 'added', ...plan })
    return plan
  }

  /** What the database holds of a task from this moment on. */
  stored(at: number, plan: Plan, state: string | null, more: Partial<EntryOf<'stored'>> = {}): this {
    const { id, incarnation } = plan
    const nothing = { token: null, owner: null, isCancelRequested: false, progress: null, result: null }
    return this.say(at, DRIVER, { what: 'stored', id, incarnation, wall: WALL + at, state, ...nothing, ...more })
  }

  /** A call about a task, which takes 10 ms. */
  act(
    at: number,
    plan: Plan,
    method: Act['method'],
    more: { readonly found?: boolean; readonly pid?: number } = {},
  ): this {
    const { id, incarnation } = plan
    const { found = true, pid = 10 } = more
    const [before, after] = ACT[method]
    this.say(at, pid, { what: before, id, incarnation })
    return this.say(at + 10, pid, { what: after, id, incarnation, found })
  }

  /** The worker of a master is gone, and another comes. */
  replaceWorker(at: number, master: MasterPid = 10): this {
    this.say(at, DRIVER, { what: 'gone', target: WORKER[master], aliveAt: at - 1 })
    return this.say(at + 1, WORKER[master], { what: 'process', role: 'worker', parent: master })
  }

  /** The next job of this task has a number more, as after one that was said entry by entry. */
  skipAttempt({ incarnation }: Plan): this {
    this.#attempts.set(incarnation, (this.#attempts.get(incarnation) ?? 1) + 1)
    return this
  }

  /** A job from its claim on, 10 ms before its start. @returns its token */
  job(plan: Plan, at: number, lasts: number, how?: EntryOf<'end'>['how'], master: MasterPid = 10): string {
    const { id, incarnation } = plan
    const attempt = this.#attempts.get(incarnation) ?? 1
    this.#attempts.set(incarnation, attempt + 1)
    const token = `token-${String(this.#tokens++)}`
    const worker = WORKER[master]
    this.stored(at - 10, plan, 'running', { token, owner: master })
    this.say(at - 1, worker, { what: 'received', id, incarnation, token, startBefore: at - 10 + LEASE })
    this.say(at, worker, { what: 'start', id, incarnation, token, attempt })
    for (let beat = at + 50; beat < at + lasts; beat += 50) this.say(beat, worker, { what: 'beat', token })
    if (how === undefined) this.say(at + lasts, worker, { what: 'beat', token })
    else this.say(at + lasts, worker, { what: 'end', token, how })
    return token
  }

  event(
    at: number,
    plan: Plan,
    type: TaskEventName,
    more: Partial<EntryOf<'event'>> = {},
    master: MasterPid = 10,
  ): this {
    const { id, incarnation } = plan
    return this.say(at, master, { what: 'event', type, id, incarnation, token: null, error: null, ...more })
  }

  /** A task that is added, run and done within 100 ms. */
  done(at: number, name: string, kind: Kind = 'short', more: Partial<Plan> = {}): Plan {
    const plan = this.add(at, name, kind, more)
    const token = this.job(plan, at + 50, 30, 'done')
    this.event(at + 90, plan, 'done', { token })
    return plan
  }

  attack(kind: Attack, targets: readonly number[], from: number, until = from): this {
    return this.say(until, DRIVER, { what: 'attack', kind, targets, from, until })
  }

  exit(at: number, target: number, isPlanned = true): this {
    return this.say(at, DRIVER, { what: 'exit', target, isPlanned, how: 'SIGKILL' })
  }

  left(plan: Plan, state: string, name?: string): this {
    const error = name === undefined ? null : { name, message: '' }
    return this.say(90_000, DRIVER, { what: 'left', id: plan.id, incarnation: plan.incarnation, state, error })
  }

  failed(at: number, plan: Plan, name: string): this {
    return this.event(at, plan, 'error', { error: { name, message: '' } }).left(plan, 'failed', name)
  }
}

/** Everything that a run has in it, and all is well. */
export function goodStory(): Story {
  const story = new Story()
  story.done(100, 'plain')
  story.done(200, 'due', 'short', { due: WALL + 250 })
  const failing = story.add(300, 'failing', 'failing', { retries: 1 })
  story.job(failing, 400, 10, 'failed')
  story.event(415, failing, 'retry')
  story.job(failing, 700, 10, 'failed')
  story.failed(720, failing, PLANNED_ERROR)
  const dying = story.add(800, 'dying', 'dying')
  for (const at of [900, 1000, 1100]) {
    story.job(dying, at, 1)
    story.replaceWorker(at + 3)
  }
  story.failed(1110, dying, 'WorkerCrashError')
  const removed = story.add(1200, 'removed')
  story.say(1210, 10, { what: 'removing', id: removed.id, incarnation: removed.incarnation })
  story.say(80_000, DRIVER, { what: 'drain', milliseconds: 100, isComplete: true })
  return story
}

export function rulesBroken({ entries }: Story, settings: Partial<Settings> = {}): string[] {
  return [...new Set(check(entries, { ...SETTINGS, ...settings }).violations.map(({ rule }) => rule))]
}

export function passes(name: string, plant: (story: Story) => void, settings: Partial<Settings> = {}): void {
  void test(`passes: ${name}`, () => {
    const story = goodStory()
    plant(story)
    assert.deepEqual(rulesBroken(story, settings), [])
  })
}

export function caught(
  rule: string,
  name: string,
  plant: (story: Story) => void,
  settings: Partial<Settings> = {},
): void {
  void test(`caught as ${rule}: ${name}`, () => {
    const story = goodStory()
    plant(story)
    assert.deepEqual(rulesBroken(story, settings), [rule])
  })
}
