/**
 * Records what the database holds of each task, from a change stream of the crash driver's own. So the time of each
 * claim does not rest on what the package says.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { ChangeStream, ChangeStreamDocument, Db, Document, ResumeToken, Timestamp } from 'mongodb'
import type { Write } from '../../tests/chaos/log'
import { eventually } from '../../tests/support/wait'

const TASKS = 'taskQueue'
/** Once the change stream delivers a mark from this collection, all earlier changes have been read. */
const MARKS = 'chaosMarks'

const REOPENED_AFTER_MS = 100

/** Without the data of tasks, which may be large and does not matter here. */
const PIPELINE = [
  { $match: { 'ns.coll': { $in: [TASKS, MARKS] } } },
  { $unset: ['fullDocument.data.payload', 'updateDescription.updatedFields.data'] },
]

/** What the changes so far say about a task. */
interface Known {
  readonly incarnation: string
  readonly state: string | null
  readonly token: string | null
  readonly owner: number | null
  readonly isCancelRequested: boolean
  readonly progress: string | null
  readonly result: string | null
}

export class Observer {
  readonly #db: Db
  readonly #write: Write
  readonly #known = new Map<string, Known>()
  #resumeAfter: ResumeToken
  #startAt: Timestamp | undefined
  #mark = ''
  #isStopped = false
  #reading: Promise<void> = Promise.resolve()

  constructor(db: Db, write: Write) {
    this.#db = db
    this.#write = write
  }

  /** Observes from this moment on, even if the connection is lost in between. */
  async start(): Promise<void> {
    const { operationTime } = await this.#db.command({ ping: 1 })
    this.#startAt = operationTime as Timestamp
    this.#reading = this.read()
  }

  /** Resolves when all that was written before this call has been read. The database must be up. */
  async stop(): Promise<void> {
    const mark = crypto.randomUUID()
    await this.#db.collection<{ _id: string }>(MARKS).insertOne({ _id: mark }, { writeConcern: { w: 'majority' } })
    await eventually('the change stream has been read', () => this.#mark === mark)
    this.#isStopped = true
    await this.#reading
  }

  private async read(): Promise<void> {
    while (!this.#isStopped) {
      const resumeAfter = this.#resumeAfter
      const from = resumeAfter === undefined ? { startAtOperationTime: this.#startAt } : { resumeAfter }
      const stream = this.#db.watch(PIPELINE, { ...from, maxAwaitTimeMS: REOPENED_AFTER_MS })
      // The database was down for longer than the MongoDB driver waits.
      await this.readAll(stream).catch(() => pause(REOPENED_AFTER_MS))
      await stream.close().catch(() => undefined)
    }
  }

  private async readAll(stream: ChangeStream): Promise<void> {
    while (!this.#isStopped) {
      const change = await stream.tryNext()
      if (change !== null) this.note(change)
    }
  }

  private note(change: ChangeStreamDocument): void {
    this.#resumeAfter = change._id
    if (!('documentKey' in change) || !('ns' in change)) return
    const id = String(change.documentKey._id)
    if (change.ns.coll === MARKS) this.#mark = id
    else if (change.operationType === 'insert') this.noteInsert(id, change)
    else this.noteTask(id, change)
  }

  private noteInsert(id: string, change: Extract<ChangeStreamDocument, { operationType: 'insert' }>): void {
    const { schedule } = change.fullDocument as { readonly schedule?: string }
    if (schedule === undefined) this.noteTask(id, change)
    else this.#write({ what: 'tick', id, schedule })
  }

  private noteTask(id: string, change: ChangeStreamDocument): void {
    const known = this.#known.get(id)
    const now = knownAfter(change, known)
    if (now === undefined || (known !== undefined && isSame(now, known))) return
    if (now.state === null) this.#known.delete(id)
    else this.#known.set(id, now)
    const wall = 'wallTime' in change && change.wallTime instanceof Date ? change.wallTime.getTime() : Date.now()
    this.#write({ what: 'stored', id, wall, ...now })
  }
}

/** Undefined if the change concerns no task of the run. */
function knownAfter(change: ChangeStreamDocument, known: Known | undefined): Known | undefined {
  switch (change.operationType) {
    case 'insert':
    case 'replace':
      return knownOf(change.fullDocument)
    case 'update':
      return known && updated(known, change.updateDescription)
    case 'delete':
      return known && { ...known, state: null, token: null, owner: null }
    default:
      return undefined
  }
}

function knownOf(task: Document): Known | undefined {
  const { data, state, claim, cancelRequestedAt, progress, result } = task as Fields & {
    data?: { incarnation?: string }
  }
  if (data?.incarnation === undefined) return undefined
  return {
    ...{ incarnation: data.incarnation, state: state ?? null, ...claimed(claim) },
    ...{ isCancelRequested: cancelRequestedAt !== undefined },
    ...{ progress: progress?.token ?? null, result: result?.token ?? null },
  }
}

interface Fields {
  readonly state?: string
  readonly claim?: Tokened
  readonly cancelRequestedAt?: Date
  readonly progress?: Tokened
  readonly result?: Tokened
}

interface Tokened {
  readonly token?: string
}

function claimed(claim: Tokened | undefined): Pick<Known, 'token' | 'owner'> {
  return { token: claim?.token ?? null, owner: pidIn(claim) ?? null }
}

/** The pid of the process that holds a claim, in whichever field the claim has it. */
function pidIn(value: unknown): number | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { pid } = value as { pid?: unknown }
  if (typeof pid === 'number') return pid
  for (const field of Object.values(value)) {
    const found = pidIn(field)
    if (found !== undefined) return found
  }
  return undefined
}

interface Changes {
  readonly updatedFields?: Partial<Document>
  readonly removedFields?: readonly string[]
}

function updated(known: Known, { updatedFields = {}, removedFields = [] }: Changes): Known {
  const { state, claim, cancelRequestedAt, progress, result } = updatedFields as Fields
  const reported = progress?.token ?? (updatedFields['progress.token'] as string | undefined)
  const renamed = updatedFields['claim.token'] as string | undefined
  const isUnclaimed = removedFields.includes('claim')
  const isRequestGone = removedFields.includes('cancelRequestedAt')
  return {
    ...known,
    ...(state === undefined ? {} : { state }),
    ...(renamed === undefined ? {} : { token: renamed }),
    ...(claim === undefined ? {} : claimed(claim)),
    ...(isUnclaimed ? claimed(undefined) : {}),
    ...(removedFields.includes('progress') ? { progress: null } : {}),
    ...(removedFields.includes('result') ? { result: null } : {}),
    ...(reported === undefined ? {} : { progress: reported }),
    ...(result?.token === undefined ? {} : { result: result.token }),
    isCancelRequested: isRequestGone ? false : cancelRequestedAt !== undefined || known.isCancelRequested,
  }
}

function isSame(a: Known, b: Known): boolean {
  return (Object.keys(a) as (keyof Known)[]).every(field => a[field] === b[field])
}
