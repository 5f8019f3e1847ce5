/**
 * An explicit-state model of one task, two masters and a user: every order of claims, settlements, lost
 * acknowledgements, a failover, expired leases, rescues, and the user's cancel, remove, add and retry. The look-ups are
 * judged by the rules of verdict.ts; the writes are those of updates.ts, as far as they matter here. `search` visits
 * every state and returns the first violation.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Settlement, Verdict } from '../../server/queue/claim'
import { type FoundTask, findingOf, lossIn } from '../../server/queue/mongo/claims/verdict'

/** One rule of the design each, left out. The first is the design itself. */
export const VARIANTS = [
  'none',
  'the delete ignores a request to cancel',
  'the delete ignores those who wait',
  'a rescue ignores a request to cancel',
  'cancel reads the state, then writes',
  'a settlement does not write settledBy',
  'a settlement does not compare the token',
  'a look-up does not ask for the majority',
  'a done task that was taken over is deleted',
  'a task that replaces a done one does not name who settled that',
  'a look-up does not ask whether the lease had run out',
  'cancelling a waiting task keeps settledBy',
] as const
export type Variant = (typeof VARIANTS)[number]

type Kind = Exclude<Settlement['kind'], 'retried'>

interface Doc {
  /** Which task of this `_id`: one that was removed and added again is another. */
  incarnation: number
  /** Which life of the task: a retry by the user begins another. */
  life: number
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'
  token?: string
  isRequested?: boolean
  /** Somebody waits for its end, which is to be kept. */
  isAwaited?: boolean
  isExpired?: boolean
  isTakenOver?: boolean
  settledBy?: string
  replaced?: string
  /** For the checks: who wrote last. */
  by: string
}

interface Master {
  phase: 'idle' | 'running' | 'writing' | 'sent' | 'lookingUp'
  token?: string
  incarnation?: number
  life?: number
  isTakenOver?: boolean
  isLeaseOver?: boolean
  knowsRequest?: boolean
  /** A look-up has found that somebody waits. */
  isKept?: boolean
  kind?: Kind
  /** Set once a write of unknown effect was sent: whether the lease had run out before, by its own clock. */
  wasLeaseOver?: boolean
  /** What the write in flight found. */
  result?: 'settled' | 'cancelled' | 'no match'
}

interface State {
  /** What the primary has, and what a majority has. */
  local: Doc | null
  committed: Doc | null
  masters: [Master, Master]
  /** Between the two steps of a cancel that reads first. */
  cancelSaw?: 'waiting' | 'running'
  incarnations: number
  tokens: number
  /** By `incarnation/life`: which events were emitted, whether a cancel was acknowledged. */
  emitted: Record<string, string>
  cancelled: Record<string, true>
  removed: Record<number, true>
  /** What may still happen. */
  left: Record<'claim' | 'cancel' | 'await' | 'remove' | 'add' | 'retry' | 'loseAck' | 'failover' | 'expire', number>
}

class Violation extends Error {}

export interface Result {
  readonly states: number
  /** The first rule that was broken, and the steps that led there. */
  readonly violation?: string
}

const START: State = {
  local: { incarnation: 0, life: 0, state: 'waiting', by: 'user' },
  committed: { incarnation: 0, life: 0, state: 'waiting', by: 'user' },
  masters: [{ phase: 'idle' }, { phase: 'idle' }],
  incarnations: 1,
  tokens: 0,
  emitted: {},
  cancelled: {},
  removed: {},
  left: { claim: 2, cancel: 0, await: 0, remove: 0, add: 0, retry: 0, loseAck: 0, failover: 0, expire: 0 },
}

/**
 * What may happen in one search, beside two claims: all of it at once would be millions of states, and no more rules.
 * First those that find the most broken variants among the fewest states.
 */
const SCENARIOS: readonly Partial<State['left']>[] = [
  { cancel: 1, retry: 1, remove: 1, expire: 1 },
  { await: 1, cancel: 1, loseAck: 1, failover: 1 },
  { loseAck: 1, failover: 1, expire: 1 },
  { remove: 1, add: 1, failover: 1, expire: 1 },
  { await: 1, remove: 1, expire: 1 },
  { cancel: 1, remove: 1, add: 1, failover: 1 },
  { cancel: 1, retry: 1, loseAck: 1, expire: 1 },
]

/** Visits every state of every scenario, until a rule is broken. */
export function search(variant: Variant): Result {
  let states = 0
  for (const scenario of SCENARIOS) {
    const result = searchFrom({ ...START, left: { ...START.left, ...scenario } }, variant)
    states += result.states
    if (result.violation !== undefined) return { states, violation: result.violation }
  }
  return { states }
}

function searchFrom(first: State, variant: Variant): Result {
  const cameFrom = new Map<string, { readonly from: string; readonly step: string } | undefined>()
  const start = JSON.stringify(first)
  cameFrom.set(start, undefined)
  const stack = [{ state: first, key: start }]
  for (let current = stack.pop(); current !== undefined; current = stack.pop()) {
    let copy: State | undefined
    for (const [step, take] of stepsOf(current.state, variant)) {
      // A step that is not taken leaves the state as it is.
      const next = copy ?? copyOf(current.state)
      const broken = tryStep(next, take)
      copy = broken === 'not taken' ? next : undefined
      if (broken === 'not taken') continue
      if (broken !== undefined) {
        return { states: cameFrom.size, violation: [...pathTo(current.key, cameFrom), step, broken].join(' → ') }
      }
      const key = keyOfState(next)
      if (cameFrom.has(key)) continue
      cameFrom.set(key, { from: current.key, step })
      stack.push({ state: next, key })
    }
  }
  return { states: cameFrom.size }
}

/** The two masters are alike: states that differ in their order only are the same. */
function keyOfState(state: State): string {
  const [a, b] = state.masters.map(master => JSON.stringify(master)).sort()
  return JSON.stringify({ ...state, masters: [a, b] })
}

/** @returns which rule the step broke */
function tryStep(next: State, take: Step): string | undefined {
  try {
    if (!take(next)) return 'not taken'
    check(next)
    return undefined
  } catch (error) {
    if (error instanceof Violation) return error.message
    throw error
  }
}

function pathTo(key: string, cameFrom: ReadonlyMap<string, { from: string; step: string } | undefined>): string[] {
  const steps: string[] = []
  for (let at = cameFrom.get(key); at !== undefined; at = cameFrom.get(at.from)) steps.unshift(at.step)
  return steps
}

/** Changes the state. @returns false, and leaves the state as it is, when it cannot be taken */
type Step = (state: State) => boolean

function stepsOf({ masters }: State, variant: Variant): (readonly [string, Step])[] {
  return [
    ['the user cancels', next => cancel(next, variant)],
    ['the user waits for its end', awaitEnd],
    ['the user removes', remove],
    ['the user adds', next => add(next, variant)],
    ['the user retries', retry],
    ...masterSteps(masters[0].phase, 0, variant),
    ...masterSteps(masters[1].phase, 1, variant),
    ['a majority has it', next => isBehind(next) && commit(next)],
    ['failover', failover],
    ['the lease runs out', expire],
  ]
}

function masterSteps(phase: Master['phase'], index: 0 | 1, variant: Variant): (readonly [string, Step])[] {
  const name = index === 0 ? 'A' : 'B'
  const steps: Record<Master['phase'], (readonly [string, Step])[]> = {
    idle: [[`${name} claims`, next => claim(next, index)]],
    running: [
      [`${name} done`, next => jobEnds(next, index, 'done')],
      [`${name} failed`, next => jobEnds(next, index, 'failed')],
      [`${name} released`, next => jobEnds(next, index, 'released')],
      [`${name} learns of the request`, next => learnOfRequest(next, index)],
      [`${name} renews`, next => renew(next, index)],
    ],
    writing: [[`${name} writes`, next => write(next, index, variant)]],
    sent: [
      [`${name} hears`, next => acknowledge(next, index)],
      [`${name} hears nothing`, next => loseAck(next, index)],
    ],
    lookingUp: [[`${name} looks up`, next => lookUp(next, index, variant)]],
  }
  return [[`${name} rescues`, next => rescue(next, index, variant)], ...steps[phase]]
}

// The user, from any process. Each write is acknowledged by a majority, and so is all that was written before it.

function cancel(state: State, variant: Variant): boolean {
  const doc = state.local
  if (variant === 'cancel reads the state, then writes') return cancelInTwoSteps(state)
  if (doc === null || !isUnended(doc) || !spend(state, 'cancel')) return false
  if (doc.state === 'running') doc.isRequested = true
  else {
    doc.state = 'cancelled'
    if (variant !== 'cancelling a waiting task keeps settledBy') delete doc.settledBy
    emit(state, doc, 'cancelled')
  }
  return acknowledgeCancel(state, doc)
}

function cancelInTwoSteps(state: State): boolean {
  const doc = state.local
  if (doc === null || !isUnended(doc)) return false
  if (state.cancelSaw === undefined) {
    if (!spend(state, 'cancel')) return false
    state.cancelSaw = doc.state === 'running' ? 'running' : 'waiting'
    return true
  }
  const saw = state.cancelSaw
  delete state.cancelSaw
  if (saw === 'running') doc.isRequested = true
  else {
    doc.state = 'cancelled'
    delete doc.token
    delete doc.settledBy
    emit(state, doc, 'cancelled')
  }
  return acknowledgeCancel(state, doc)
}

function acknowledgeCancel(state: State, doc: Doc): boolean {
  doc.by = 'user'
  state.cancelled[keyOf(doc)] = true
  return commit(state)
}

function awaitEnd(state: State): boolean {
  const doc = state.local
  if (doc === null || !isUnended(doc) || doc.isAwaited || !spend(state, 'await')) return false
  doc.isAwaited = true
  return commit(state)
}

function remove(state: State): boolean {
  if (state.local === null || !spend(state, 'remove')) return false
  state.removed[state.local.incarnation] = true
  state.local = null
  commit(state)
  return true
}

function add(state: State, variant: Variant): boolean {
  const doc = state.local
  if ((doc !== null && doc.state !== 'done') || !spend(state, 'add')) return false
  const names = variant !== 'a task that replaces a done one does not name who settled that'
  const replaced = names ? doc?.settledBy : undefined
  state.local = {
    incarnation: state.incarnations++,
    life: 0,
    state: 'waiting',
    by: 'user',
    ...(replaced && { replaced }),
  }
  commit(state)
  return true
}

function retry(state: State): boolean {
  const doc = state.local
  if (doc === null || !['failed', 'cancelled'].includes(doc.state) || !spend(state, 'retry')) return false
  const takenOver = doc.isTakenOver && { isTakenOver: true }
  state.local = { incarnation: doc.incarnation, life: doc.life + 1, state: 'waiting', by: 'user', ...takenOver }
  commit(state)
  return true
}

// The masters.

function claim(state: State, index: 0 | 1): boolean {
  const doc = state.local
  if (doc?.state !== 'waiting' || !spend(state, 'claim')) return false
  const token = `t${String(state.tokens++)}`
  Object.assign(doc, { state: 'running', token, by: token })
  const { incarnation, isTakenOver = false, life } = doc
  state.masters[index] = { phase: 'running', token, incarnation, life, isTakenOver }
  commit(state)
  return true
}

function jobEnds(state: State, index: 0 | 1, kind: Kind): boolean {
  const master = state.masters[index]
  Object.assign(master, { phase: 'writing', kind: master.knowsRequest ? 'cancelled' : kind })
  return true
}

function learnOfRequest(state: State, index: 0 | 1): boolean {
  const master = state.masters[index]
  const { committed } = state
  if (master.knowsRequest || committed?.token !== master.token || committed?.isRequested !== true) return false
  master.knowsRequest = true
  return true
}

/** A renewal that finds another token: the claim is void, and `stalled` is no end of the task. */
function renew(state: State, index: 0 | 1): boolean {
  const master = state.masters[index]
  if (lossIn(claimOf(master), foundOf(state.committed)) === undefined) return false
  state.masters[index] = { phase: 'idle' }
  return true
}

/** The database's clock: the lease has run out for its holder too. */
function expire(state: State): boolean {
  const doc = state.local
  if (doc?.state !== 'running' || doc.isExpired || !spend(state, 'expire')) return false
  doc.isExpired = true
  for (const master of state.masters) if (master.token === doc.token) master.isLeaseOver = true
  return true
}

/** By any master but the holder, which knows the token. */
function rescue(state: State, index: 0 | 1, variant: Variant): boolean {
  const doc = state.local
  if (doc?.state !== 'running' || !doc.isExpired || state.masters[index].token === doc.token) return false
  const isCancelled = doc.isRequested === true && variant !== 'a rescue ignores a request to cancel'
  leave(doc, isCancelled ? 'cancelled' : 'waiting', 'rescuer')
  if (isCancelled) {
    doc.settledBy = 'rescuer'
    emit(state, doc, 'cancelled')
  }
  doc.isTakenOver = true
  commit(state)
  return true
}

/** One write of `settleOne`: it reaches the primary, and is acknowledged or lost later. */
function write(state: State, index: 0 | 1, variant: Variant): boolean {
  const master = state.masters[index]
  const { kind = 'done', token = '' } = master
  const doc = state.local
  const isHeld = doc?.state === 'running' && doc.token === token
  const isMatched = variant === 'a settlement does not compare the token' ? doc !== null : isHeld
  const keepsDone = master.isTakenOver && variant !== 'a done task that was taken over is deleted'
  const isDeletion = kind === 'done' && !keepsDone && !master.isKept
  const isAsked = doc?.isRequested && variant !== 'the delete ignores a request to cancel'
  const isBlocked = isDeletion && (isAsked || (doc?.isAwaited && variant !== 'the delete ignores those who wait'))
  master.phase = 'sent'
  master.result = 'no match'
  if (doc === null || !isMatched || isBlocked) return true
  if (isDeletion) {
    if (doc.isAwaited) throw new Violation('nobody can tell those who wait how the task ended')
    state.local = null
    master.result = 'settled'
    return true
  }
  const isCancelled = doc.isRequested === true || kind === 'cancelled'
  master.result = isCancelled ? 'cancelled' : 'settled'
  leave(doc, isCancelled ? 'cancelled' : kind === 'released' ? 'waiting' : kind, token)
  if (variant !== 'a settlement does not write settledBy') doc.settledBy = token
  return true
}

function leave(doc: Doc, state: Doc['state'], by: string): void {
  Object.assign(doc, { state, by })
  delete doc.token
  delete doc.isRequested
  delete doc.isExpired
}

/**
 * A write is acknowledged once a majority has it, and all before it. That one which changed nothing waits, too, is not
 * relied on.
 */
function acknowledge(state: State, index: 0 | 1): boolean {
  const { result = 'no match' } = state.masters[index]
  if (result === 'no match') {
    state.masters[index].phase = 'lookingUp'
    return true
  }
  commit(state)
  conclude(state, index, result)
  return true
}

function loseAck(state: State, index: 0 | 1): boolean {
  if (!spend(state, 'loseAck')) return false
  writeAgain(state.masters[index])
  return true
}

function writeAgain(master: Master): void {
  master.phase = 'writing'
  master.wasLeaseOver ??= master.isLeaseOver === true
}

function lookUp(state: State, index: 0 | 1, variant: Variant): boolean {
  const master = state.masters[index]
  const { kind = 'done' } = master
  const found = variant === 'a look-up does not ask for the majority' ? state.local : state.committed
  const isLate = master.wasLeaseOver === true && variant !== 'a look-up does not ask whether the lease had run out'
  const unanswered = master.wasLeaseOver === undefined ? undefined : { isLate }
  const finding = findingOf(claimOf(master), kind, foundOf(found), unanswered)
  if (finding === 'settleAsAsked' || finding === 'settleAsCancelled' || finding === 'settleAsKept') {
    master.phase = 'writing'
    if (finding === 'settleAsCancelled') master.kind = 'cancelled'
    if (finding === 'settleAsKept') master.isKept = true
  } else conclude(state, index, finding)
  return true
}

function conclude(state: State, index: 0 | 1, verdict: Verdict): void {
  const master = state.masters[index]
  const { kind, token = '' } = master
  state.masters[index] = { phase: 'idle' }
  const isWritten = verdict === 'settled' || verdict === 'cancelled'
  if (!isWritten && state.committed?.by === token && state.committed.state !== 'running') {
    throw new Violation(`a settlement that was written counts as lost (${verdict})`)
  }
  const event = verdict === 'cancelled' ? 'cancelled' : verdict === 'settled' ? EVENTS[kind ?? 'released'] : undefined
  if (event !== undefined) emit(state, master, event)
}

const EVENTS = { done: 'done', failed: 'error', cancelled: 'cancelled', released: undefined } as const

// The database.

function isBehind({ committed, local }: State): boolean {
  return !isDeepStrictEqual(local, committed)
}

function commit(state: State): boolean {
  state.committed = state.local && { ...state.local }
  return true
}

/** What no majority had is rolled back; who waits for an acknowledgement gets an error. */
function failover(state: State): boolean {
  if (!spend(state, 'failover')) return false
  state.local = state.committed && { ...state.committed }
  for (const master of state.masters) if (master.phase === 'sent') writeAgain(master)
  return true
}

// The checks.

function emit(state: State, of: Pick<Master, 'incarnation' | 'life' | 'wasLeaseOver'>, event: string): void {
  const key = keyOf(of)
  const before = state.emitted[key]
  const removals = Object.keys(state.removed)
  // Once what stands under the `_id` was removed, nobody can tell any more whether a write of unknown effect in time
  // was made.
  const isUnknowable = removals.length > 0 && of.wasLeaseOver === false
  if (before !== undefined && before !== UNKNOWABLE && !isUnknowable) {
    throw new Violation(`two events of one task: ${before}, ${event}`)
  }
  state.emitted[key] = isUnknowable ? UNKNOWABLE : event
  const wasRemoved = removals.includes(String(of.incarnation))
  if (state.cancelled[key] && event !== 'cancelled' && !wasRemoved && !isUnknowable) {
    throw new Violation(`a task whose cancel was acknowledged ended as ${event}`)
  }
}

const UNKNOWABLE = 'unknowable'

function check({ masters: [a, b], committed, local }: State): void {
  const holds = (master: Master) => master.phase === 'running' && master.isLeaseOver !== true
  if (holds(a) && holds(b) && a.incarnation === b.incarnation) {
    throw new Violation('two jobs of one task at once, and no lease has run out')
  }
  for (const doc of [committed, local]) {
    if (doc?.state === 'running' && doc.token === undefined) throw new Violation('a running task without a holder')
  }
}

function claimOf({ incarnation = 0, token = '' }: Master): Parameters<typeof findingOf>[0] {
  return { token, task: { createdAt: new Date(incarnation), sequence: incarnation } as never }
}

function foundOf(doc: Doc | null): FoundTask | null {
  if (doc === null) return null
  const { incarnation, isAwaited, isRequested, replaced, settledBy, state, token } = doc
  return {
    state,
    createdAt: new Date(incarnation),
    sequence: incarnation,
    ...(token !== undefined && { claim: { token } }),
    ...(settledBy !== undefined && { settledBy }),
    ...(replaced !== undefined && { replaced }),
    ...(isRequested && { cancelRequestedAt: new Date(0) }),
    ...(isAwaited && { awaited: 'result' as const }),
  }
}

function isUnended({ state }: Doc): boolean {
  return state === 'waiting' || state === 'running'
}

function keyOf({ incarnation, life }: { incarnation?: number; life?: number }): string {
  return `${String(incarnation)}/${String(life)}`
}

function spend(state: State, what: keyof State['left']): boolean {
  if (state.left[what] === 0) return false
  state.left[what]--
  return true
}

function copyOf(state: State): State {
  const [a, b] = state.masters
  return {
    ...state,
    local: state.local && { ...state.local },
    committed: state.committed && { ...state.committed },
    masters: [{ ...a }, { ...b }],
    emitted: { ...state.emitted },
    cancelled: { ...state.cancelled },
    removed: { ...state.removed },
    left: { ...state.left },
  }
}
