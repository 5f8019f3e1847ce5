import type { EndFeed } from '../../results/waiters'
import { ChangeStream } from './change-stream'
import type { RawCollection } from '../documents/schema'

const HAS_ENDED = { operationType: 'update', 'updateDescription.updatedFields.awaited': 'ended' }

interface Change {
  readonly documentKey: { readonly _id: string }
}

/** Reports the ends of the tasks that any process waits for, through one change stream. */
export class MongoEndFeed implements EndFeed {
  readonly #tasks: () => RawCollection
  #stream: ChangeStream | undefined

  constructor(tasks: () => RawCollection) {
    this.#tasks = tasks
  }

  open(ended: (_id: string) => void, opened: () => void): void {
    const pipeline = [
      { $match: { $or: [{ operationType: 'invalidate' }, HAS_ENDED] } },
      { $project: { operationType: 1, documentKey: 1 } },
    ]
    const ignore = () => undefined
    this.#stream = new ChangeStream(this.#tasks(), pipeline, {
      changed: change => {
        ended((change as Change).documentKey._id)
      },
      opened,
      // What the stream does not report, a look at the queue finds.
      collectionDropped: ignore,
      failed: ignore,
    })
    this.#stream.start()
  }

  close(): void {
    // A stream that breaks while it is closed is closed, too.
    void this.#stream?.stop().catch(() => undefined)
    this.#stream = undefined
  }
}
