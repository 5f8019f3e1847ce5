import { RetryLaterError } from '../../common/errors'
import { createId } from '../../common/id'
import type { MessageBroker } from '../../common/ipc'
import { createLog } from '../../common/log'
import { unwrap, wrap } from '../../common/pipe/envelope'
import { type Outcome, type ToMaster, type ToWorker, isToMaster, jobToWire } from '../../common/pipe/protocol'
import { errorFromWire, fromWire } from '../../common/pipe/wire'
import type { Task } from '../../common/task'
import type { Definitions } from '../../common/task-map'
import { consult } from '../master/broker'
import { revive } from '../revive'
import { InProcessWorker } from './in-process-worker'

/** Runs one attempt at a task that is in no queue. @returns its result, as it comes through the pipe */
export async function performJob(task: Task, definitions: Definitions, broker: MessageBroker | null): Promise<unknown> {
  const log = createLog('error')
  const child = new InProcessWorker(definitions, 1, log).createChild()
  const token = createId()
  const claim = { task, token, inMemory: true, isTakenOver: false, isCancelRequested: false }
  const send = (message: ToWorker) => child.send(wrap([message]))
  const outcome = await new Promise<Outcome>(resolve => {
    const receive = (message: ToMaster) => {
      if (message.kind === 'ready') send({ kind: 'run', token, job: jobToWire(task), attempt: 1 })
      else if (message.kind === 'outcome') resolve(message.outcome)
      else if (message.kind === 'ask') {
        const { conversation } = message
        const answer = (given: Extract<ToWorker, { kind: 'answer' }>['answer']) =>
          void send({ kind: 'answer', token, conversation, answer: given })
        void consult(broker, { claim, message, answer }, true, log)
      }
    }
    child.on('message', raw => {
      for (const message of unwrap(raw, isToMaster)) if (message.kind !== 'unreadable') receive(message)
    })
  })
  child.disconnect()
  if (outcome.kind === 'done') return fromWire(outcome.value)
  throw outcome.kind === 'postponed' ? new RetryLaterError(outcome.delay) : revive(errorFromWire(outcome.error))
}
